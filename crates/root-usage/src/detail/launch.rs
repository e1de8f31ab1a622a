//! Machines that are started: how many, of what type.

use super::field::{at, items, items_at, place};
use super::{Call, Detail, value};
use filter_pattern::json::Json;

pub(super) fn read(call: &Call<'_>, found: &mut Vec<Detail>) {
    let Call { request, response, .. } = *call;
    let number = |text: Option<&str>| text?.parse::<u64>().ok();
    let (count, of) = match (call.service, call.event_name) {
        ("ec2", "RunInstances") => {
            let asked = |name: &str| {
                let of = |item: &Json<'_>| number(at(item, name));
                number(at(request, name)).or_else(|| items_at(request, "instancesSet").iter().find_map(of))
            };
            let started = || Some(items_at(response, "instancesSet").len() as u64).filter(|count| *count > 0);
            let (least, most) = (asked("minCount"), asked("maxCount"));
            let started = || items_at(response, "instancesSet").first().and_then(|_| started());
            let count = if least == most { most.or_else(started) } else { started().or(most) };
            let of = at(request, "instanceType")
                .or_else(|| items_at(response, "instancesSet").iter().find_map(|item| at(item, "instanceType")));
            (count, of)
        }
        ("ec2", "RequestSpotInstances") => {
            let count = number(at(request, "instanceCount")).or(Some(1));
            (count, at(request, "launchSpecification.instanceType"))
        }
        ("ec2", "RequestSpotFleet") => (number(at(request, "spotFleetRequestConfig.targetCapacity")), None),
        ("ec2", "CreateFleet") => {
            (number(at(request, "TargetCapacitySpecification.TotalTargetCapacity")), fleet_type(request))
        }
        ("lightsail", "CreateInstances") => {
            let names = items_at(request, "instanceNames").len() as u64;
            (Some(names).filter(|count| *count > 0), at(request, "bundleId"))
        }
        ("autoscaling", "CreateAutoScalingGroup" | "UpdateAutoScalingGroup") => {
            (number(at(request, "desiredCapacity")).or(number(at(request, "maxSize"))), None)
        }
        ("autoscaling", "SetDesiredCapacity") => (number(at(request, "desiredCapacity")), None),
        ("ecs", "RunTask") => return,
        ("gamelift", "CreateFleet") => (Some(1), at(request, "eC2InstanceType")),
        ("sagemaker", "CreateNotebookInstance") => (Some(1), at(request, "instanceType")),
        ("sagemaker", "CreateTrainingJob") => {
            (number(at(request, "resourceConfig.instanceCount")), at(request, "resourceConfig.instanceType"))
        }
        ("elasticmapreduce", "RunJobFlow") => {
            (number(at(request, "instances.instanceCount")), at(request, "instances.slaveInstanceType"))
        }
        ("rds", "CreateDBInstance" | "RestoreDBInstanceFromDBSnapshot") => (Some(1), at(request, "dBInstanceClass")),
        ("redshift", "CreateCluster") => (number(at(request, "numberOfNodes")).or(Some(1)), at(request, "nodeType")),
        _ => return,
    };
    let of = of.and_then(value);
    // A database without a known class, "1 x" of nothing, says nothing.
    if of.is_some() || count.is_some_and(|count| count > 1) {
        found.extend(count.map(|count| Detail::Launched { count, of }));
    }
}

/// The first type that a fleet's request names.
fn fleet_type<'r>(request: &'r Json<'r>) -> Option<&'r str> {
    let configs = place(request, "LaunchTemplateConfigs").map(items).unwrap_or_default();
    configs.iter().find_map(|config| items_at(config, "Overrides").iter().find_map(|item| at(item, "InstanceType")))
}
