//! Which places of which action's record say what it made, opened or handed out.
//!
//! A place begins with `q.` (requestParameters) or `s.` (responseElements); `[]` stands for the items of a list. The
//! names are CloudTrail's: as in the service's API, with a small first letter. An action that is here gets nothing from
//! [`made`](super::made), so a row without places says that the table of actions shows all there is.

use super::field::{Values, at, each, is_true, place, text, without_service};
use super::{Call, Detail, Fact, Label, value};
use filter_pattern::json::Json;

/// What stands at a place.
pub(super) enum Place {
    /// Ids, names, numbers.
    Is(Label, &'static str),
    /// The same; the first place that has any.
    First(Label, &'static [&'static str]),
    /// A fact, if the text at the place is this.
    If(Fact, &'static str, &'static str),
    /// A fact, if there is anything at the place.
    Any(Fact, &'static str),
    /// The names of these fields of an object, as far as they are `false`.
    Off(&'static str, &'static [&'static str]),
    /// A long-lived access key that was created.
    Created(&'static str),
    /// The key of temporary credentials.
    Temporary(&'static str),
    /// What is allowed: `lambda:InvokeFunction`, of which the service goes without saying.
    Action(&'static str),
}

use Fact as F;
use Label as L;
use Place::{Action, Any, Created, First, If, Is, Off, Temporary};

type Row = (&'static str, &'static [&'static str], &'static [Place]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    // Who can get in.
    ("iam", &["CreateAccessKey"], &[Created("s.accessKey.accessKeyId")]),
    ("iam", &["CreateUser"], &[Is(L::User, "q.userName")]),
    ("iam", &["CreateRole"], &[Is(L::Role, "q.roleName")]),
    ("iam", &["CreateGroup"], &[Is(L::Group, "q.groupName")]),
    ("iam", &["AddUserToGroup"], &[Is(L::User, "q.userName"), Is(L::Group, "q.groupName")]),
    ("iam", &["CreatePolicy"], &[First(L::Policy, &["s.policy.arn", "q.policyName"])]),
    ("iam", &["CreatePolicyVersion"], &[Is(L::Policy, "q.policyArn"), Is(L::Version, "s.policyVersion.versionId")]),
    ("iam", &["SetDefaultPolicyVersion"], &[Is(L::Policy, "q.policyArn"), Is(L::Version, "q.versionId")]),
    ("iam", &["AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy", "PutUserPolicy", "PutRolePolicy", "PutGroupPolicy",
        "CreateLoginProfile", "UpdateLoginProfile", "UpdateAccessKey", "DeleteAccessKey", "UpdateAssumeRolePolicy"], &[]),
    ("iam", &["CreateOpenIDConnectProvider"], &[First(L::Provider, &["s.openIDConnectProviderArn", "q.url"]), Is(L::OidcClient, "q.clientIDList[]")]),
    ("iam", &["CreateSAMLProvider", "UpdateSAMLProvider"], &[First(L::Provider, &["s.sAMLProviderArn", "q.sAMLProviderArn", "q.name"])]),
    ("iam", &["UploadSigningCertificate"], &[Is(L::User, "q.userName"), Is(L::SigningCertificate, "s.certificate.certificateId")]),
    ("iam", &["UploadServerCertificate"], &[Is(L::Certificate, "q.serverCertificateName")]),
    ("iam", &["UploadSSHPublicKey"], &[Is(L::User, "q.userName"), Is(L::SshKey, "s.sSHPublicKey.sSHPublicKeyId")]),
    ("iam", &["CreateServiceSpecificCredential", "ResetServiceSpecificCredential"], &[Is(L::User, "q.userName"),
        Is(L::ServiceCredential, "s.serviceSpecificCredential.serviceSpecificCredentialId"), Is(L::Name, "s.serviceSpecificCredential.serviceName")]),
    ("iam", &["CreateVirtualMFADevice"], &[Is(L::MfaDevice, "s.virtualMFADevice.serialNumber")]),
    ("iam", &["CreateInstanceProfile"], &[Is(L::InstanceProfile, "q.instanceProfileName")]),
    ("iam", &["AddRoleToInstanceProfile"], &[Is(L::Role, "q.roleName"), Is(L::InstanceProfile, "q.instanceProfileName")]),
    ("sts", &["GetFederationToken"], &[Is(L::Name, "q.name"), Is(L::Policy, "q.policyArns[].arn"), Is(L::Seconds, "q.durationSeconds"), Temporary("s.credentials.accessKeyId")]),
    ("sts", &["GetSessionToken"], &[Is(L::Seconds, "q.durationSeconds"), Temporary("s.credentials.accessKeyId")]),
    ("sts", &["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"], &[Is(L::Role, "q.roleArn"), Is(L::Session, "q.roleSessionName"), Temporary("s.credentials.accessKeyId")]),
    ("sts", &["AssumeRoot"], &[Is(L::Account, "q.targetPrincipal"), Is(L::Policy, "q.taskPolicyArn.arn"), Temporary("s.credentials.accessKeyId")]),
    ("sso", &["CreateAccountAssignment"], &[Is(L::Account, "q.targetId"), Is(L::PermissionSet, "q.permissionSetArn"), Is(L::User, "q.principalId")]),
    ("sso", &["CreatePermissionSet"], &[First(L::PermissionSet, &["s.permissionSet.permissionSetArn", "q.name"])]),
    ("sso", &["AttachManagedPolicyToPermissionSet"], &[Is(L::PermissionSet, "q.permissionSetArn"), Is(L::Policy, "q.managedPolicyArn")]),
    ("identitystore", &["CreateUser"], &[First(L::User, &["s.userId", "q.userName"])]),
    ("identitystore", &["CreateGroup"], &[First(L::Group, &["s.groupId", "q.displayName"])]),
    ("identitystore", &["CreateGroupMembership"], &[Is(L::Group, "q.groupId"), Is(L::User, "q.memberId.userId")]),
    ("rolesanywhere", &["CreateTrustAnchor"], &[First(L::TrustAnchor, &["s.trustAnchor.trustAnchorId", "q.name"])]),
    ("rolesanywhere", &["CreateProfile"], &[Is(L::Role, "q.roleArns[]")]),
    ("iot", &["CreateKeysAndCertificate", "CreateCertificateFromCsr"], &[Is(L::Certificate, "s.certificateId")]),
    ("cognito-idp", &["AdminCreateUser"], &[Is(L::Pool, "q.userPoolId")]),
    ("secretsmanager", &["CreateSecret"], &[First(L::Secret, &["s.arn", "s.aRN", "q.name"])]),
    ("secretsmanager", &["PutSecretValue", "UpdateSecret", "DeleteSecret", "RestoreSecret", "RotateSecret", "PutResourcePolicy"], &[Is(L::Secret, "q.secretId")]),
    ("transfer", &["CreateServer"], &[Is(L::Server, "s.serverId"), If(F::Public, "q.endpointType", "PUBLIC")]),
    ("transfer", &["CreateUser"], &[Is(L::User, "q.userName"), Is(L::Server, "q.serverId"), Is(L::Role, "q.role")]),
    // Machines and what they are made of.
    ("ec2", &["RunInstances"], &[Is(L::Instance, "s.instancesSet[].instanceId"), Is(L::Image, "q.instancesSet[].imageId"), Is(L::KeyPair, "q.instancesSet[].keyName"),
        First(L::InstanceProfile, &["q.iamInstanceProfile.arn", "q.iamInstanceProfile.name"]), Any(F::UserData, "q.userData"),
        If(F::PublicIp, "q.networkInterfaceSet[].associatePublicIpAddress", "true"), If(F::PublicIp, "q.associatePublicIpAddress", "true")]),
    ("ec2", &["RequestSpotInstances"], &[Is(L::SpotRequest, "s.spotInstanceRequestSet[].spotInstanceRequestId"), Is(L::Image, "q.launchSpecification.imageId"),
        Is(L::KeyPair, "q.launchSpecification.keyName"), Any(F::UserData, "q.launchSpecification.userData")]),
    ("ec2", &["RequestSpotFleet"], &[Is(L::Fleet, "s.spotFleetRequestId")]),
    ("ec2", &["CreateFleet"], &[Is(L::Fleet, "s.fleetId"), Is(L::Instance, "s.fleetInstanceSet[].instanceIds[]")]),
    ("ec2", &["StartInstances", "StopInstances", "TerminateInstances", "RebootInstances"], &[First(L::Instance, &["q.instancesSet[].instanceId", "s.instancesSet[].instanceId"])]),
    ("ec2", &["ModifyInstanceAttribute"], &[Is(L::Instance, "q.instanceId"), Any(F::UserData, "q.userData"), Is(L::SecurityGroup, "q.groupSet[].groupId")]),
    ("ec2", &["ModifyNetworkInterfaceAttribute"], &[Is(L::NetworkInterface, "q.networkInterfaceId"), Is(L::SecurityGroup, "q.groupSet[].groupId")]),
    ("ec2", &["CreateSecurityGroup"], &[Is(L::SecurityGroup, "s.groupId"), Is(L::Name, "q.groupName")]),
    ("ec2", &["AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress", "ModifySecurityGroupRules"],
        &[First(L::SecurityGroup, &["q.groupId", "q.groupName"]),
        First(L::SecurityGroupRule, &["s.securityGroupRuleSet[].securityGroupRuleId", "s.revokedSecurityGroupRuleSet[].securityGroupRuleId"])]),
    ("ec2", &["CreateNetworkAclEntry", "ReplaceNetworkAclEntry"], &[Is(L::NetworkAcl, "q.networkAclId")]),
    ("ec2", &["CreateRoute", "ReplaceRoute"], &[Is(L::RouteTable, "q.routeTableId")]),
    ("ec2", &["AuthorizeClientVpnIngress"], &[If(F::Everyone, "q.AuthorizeAllGroups", "true"), Is(L::Group, "q.AccessGroupId")]),
    ("ec2", &["CreateKeyPair"], &[Is(L::KeyPair, "q.keyName"), Is(L::Id, "s.keyPairId")]),
    ("ec2", &["ImportKeyPair"], &[Is(L::KeyPair, "q.keyName"), Is(L::Id, "s.keyPairId")]),
    ("ec2", &["ModifySnapshotAttribute"], &[Is(L::Snapshot, "q.snapshotId")]),
    ("ec2", &["ModifyImageAttribute"], &[Is(L::Image, "q.imageId")]),
    ("ec2", &["CreateSnapshot"], &[Is(L::Snapshot, "s.snapshotId"), Is(L::Volume, "q.volumeId")]),
    ("ec2", &["CreateSnapshots"], &[Is(L::Snapshot, "s.snapshotSet[].snapshotId"), Is(L::Instance, "q.instanceSpecification.instanceId")]),
    ("ec2", &["CopySnapshot"], &[Is(L::Snapshot, "s.snapshotId"), Is(L::CopyOf, "q.sourceSnapshotId"), Is(L::SourceRegion, "q.sourceRegion")]),
    ("ec2", &["CreateImage"], &[Is(L::Image, "s.imageId"), Is(L::Instance, "q.instanceId")]),
    ("ec2", &["CopyImage"], &[Is(L::Image, "s.imageId"), Is(L::CopyOf, "q.sourceImageId"), Is(L::SourceRegion, "q.sourceRegion")]),
    ("ec2", &["CreateVolume"], &[Is(L::Volume, "s.volumeId"), Is(L::MadeFrom, "q.snapshotId")]),
    ("ec2", &["CreateVpcPeeringConnection"], &[Is(L::PeeringConnection, "s.vpcPeeringConnection.vpcPeeringConnectionId"), Is(L::PeerAccount, "q.peerOwnerId"), Is(L::PeerVpc, "q.peerVpcId")]),
    ("ec2", &["AcceptVpcPeeringConnection"], &[Is(L::PeeringConnection, "q.vpcPeeringConnectionId"), Is(L::PeerAccount, "s.vpcPeeringConnection.requesterVpcInfo.ownerId")]),
    ("ec2", &["AllocateAddress"], &[Is(L::Address, "s.publicIp"), Is(L::Allocation, "s.allocationId")]),
    ("ec2", &["AssociateAddress"], &[Is(L::Address, "q.publicIp"), Is(L::Allocation, "q.allocationId"), Is(L::Instance, "q.instanceId")]),
    ("ec2", &["CreateFlowLogs"], &[Is(L::FlowLog, "s.flowLogIdSet[]"), Is(L::Destination, "q.LogDestination")]),
    ("ec2", &["DeleteFlowLogs"], &[Is(L::FlowLog, "q.FlowLogId[]")]),
    ("ec2-instance-connect", &["SendSSHPublicKey", "SendSerialConsoleSSHPublicKey"], &[Is(L::Instance, "q.instanceId"), Is(L::User, "q.instanceOSUser")]),
    ("lightsail", &["CreateInstances"], &[Is(L::Instance, "q.instanceNames[]"), Is(L::Image, "q.blueprintId"), Any(F::UserData, "q.userData")]),
    ("lightsail", &["OpenInstancePublicPorts", "PutInstancePublicPorts", "CloseInstancePublicPorts"], &[Is(L::Instance, "q.instanceName")]),
    ("ecs", &["RunTask"], &[Is(L::Cluster, "q.cluster"), Is(L::TaskDefinition, "q.taskDefinition"), Is(L::Task, "s.tasks[].taskArn"),
        If(F::PublicIp, "q.networkConfiguration.awsvpcConfiguration.assignPublicIp", "ENABLED")]),
    ("ecs", &["CreateCluster"], &[First(L::Cluster, &["s.cluster.clusterArn", "q.clusterName"])]),
    ("eks", &["CreateCluster", "UpdateClusterConfig"], &[First(L::Cluster, &["s.cluster.arn", "q.name"]), If(F::PublicEndpoint, "q.resourcesVpcConfig.endpointPublicAccess", "true"),
        If(F::PublicEndpoint, "s.cluster.resourcesVpcConfig.endpointPublicAccess", "true"), Is(L::Network, "q.resourcesVpcConfig.publicAccessCidrs[]")]),
    ("eks", &["CreateAccessEntry"], &[Is(L::Cluster, "q.name"), Is(L::User, "q.principalArn")]),
    ("batch", &["CreateComputeEnvironment"], &[First(L::Name, &["s.computeEnvironmentArn", "q.computeEnvironmentName"]), Is(L::InstanceType, "q.computeResources.instanceTypes[]")]),
    ("batch", &["SubmitJob"], &[First(L::Task, &["s.jobArn", "s.jobId", "q.jobName"]), Is(L::TaskDefinition, "q.jobDefinition")]),
    ("sagemaker", &["CreateNotebookInstance"], &[Is(L::Notebook, "q.notebookInstanceName"), Is(L::RunsAs, "q.roleArn"), If(F::InternetAccess, "q.directInternetAccess", "Enabled")]),
    ("sagemaker", &["CreatePresignedNotebookInstanceUrl"], &[Is(L::Notebook, "q.notebookInstanceName"), Any(F::SignedUrl, "q.notebookInstanceName")]),
    ("sagemaker", &["CreatePresignedDomainUrl"], &[Is(L::Domain, "q.domainId"), Is(L::User, "q.userProfileName"), Any(F::SignedUrl, "q.domainId")]),
    ("workspaces", &["CreateWorkspaces"], &[Is(L::User, "q.workspaces[].userName"), Is(L::Workspace, "s.pendingRequests[].workspaceId")]),
    // Functions, stacks.
    ("lambda", &["CreateFunction"], &[Is(L::Function, "q.functionName"), Is(L::RunsAs, "q.role"), Is(L::CodeFrom, "q.code.s3Bucket"), Is(L::Image, "q.code.imageUri")]),
    ("lambda", &["UpdateFunctionCode"], &[Is(L::CodeFrom, "q.s3Bucket"), Is(L::Image, "q.imageUri"), Is(L::Version, "s.version")]),
    ("lambda", &["CreateFunctionUrlConfig", "UpdateFunctionUrlConfig"], &[Is(L::Endpoint, "s.functionUrl"), If(F::UrlWithoutAuthentication, "q.authType", "NONE")]),
    ("lambda", &["AddPermission"], &[Action("q.action"), First(L::Caller, &["q.sourceArn", "q.sourceAccount", "q.principalOrgID"])]),
    ("lambda", &["AddLayerVersionPermission"], &[Is(L::Layer, "q.layerName"), Is(L::Version, "q.versionNumber")]),
    ("lambda", &["PublishLayerVersion"], &[First(L::Layer, &["s.layerVersionArn", "q.layerName"])]),
    ("lambda", &["UpdateFunctionConfiguration"], &[Is(L::RunsAs, "q.role"), Is(L::Layer, "q.layers[]")]),
    ("cloudformation", &["CreateStack", "UpdateStack", "CreateChangeSet", "ExecuteChangeSet"], &[First(L::Stack, &["s.stackId", "q.stackName"]), Is(L::RunsAs, "q.roleARN"), Is(L::Capability, "q.capabilities[]")]),
    ("cloudformation", &["CreateStackSet", "UpdateStackSet", "CreateStackInstances"], &[First(L::Stack, &["s.stackSetId", "q.stackSetName"]), Is(L::Account, "q.accounts[]"), Is(L::Account, "q.deploymentTargets.accounts[]"), Is(L::Capability, "q.capabilities[]")]),
    // What data can be reached.
    ("s3", &["CreateBucket"], &[]),
    ("s3", &["PutBucketPolicy", "PutBucketAcl", "PutObjectAcl", "DeleteBucket", "DeleteBucketPolicy", "PutBucketLifecycle"], &[]),
    ("s3", &["PutBucketVersioning"], &[Is(L::SetTo, "q.VersioningConfiguration.Status")]),
    ("s3", &["PutBucketPublicAccessBlock", "PutAccountPublicAccessBlock"],
        &[Off("q.PublicAccessBlockConfiguration", &["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"])]),
    ("s3", &["PutBucketReplication"], &[Is(L::CopiesTo, "q.ReplicationConfiguration.Rule[].Destination.Bucket"), Is(L::PeerAccount, "q.ReplicationConfiguration.Rule[].Destination.Account")]),
    ("s3", &["PutBucketWebsite"], &[Is(L::RedirectsTo, "q.WebsiteConfiguration.RedirectAllRequestsTo.HostName")]),
    ("s3", &["PutBucketCors"], &[Is(L::AllowedOrigin, "q.CORSConfiguration.CORSRule[].AllowedOrigin[]")]),
    ("rds", &["CreateDBInstance", "ModifyDBInstance", "RestoreDBInstanceFromDBSnapshot", "RestoreDBInstanceToPointInTime", "CreateDBCluster", "ModifyDBCluster", "RestoreDBClusterFromSnapshot"],
        &[First(L::Database, &["q.dBInstanceIdentifier", "q.dBClusterIdentifier", "q.targetDBInstanceIdentifier"]), Is(L::MadeFrom, "q.dBSnapshotIdentifier"), Is(L::MadeFrom, "q.snapshotIdentifier")]),
    ("rds", &["ModifyDBSnapshotAttribute"], &[Is(L::Snapshot, "q.dBSnapshotIdentifier")]),
    ("rds", &["ModifyDBClusterSnapshotAttribute"], &[Is(L::Snapshot, "q.dBClusterSnapshotIdentifier")]),
    ("rds", &["StartExportTask"], &[Is(L::MadeFrom, "q.sourceArn"), Is(L::CopiesTo, "q.s3BucketName")]),
    ("kms", &["CreateKey"], &[Is(L::Key, "s.keyMetadata.keyId")]),
    ("kms", &["CreateGrant"], &[Is(L::Operation, "q.operations[]"), Is(L::Grant, "s.grantId")]),
    ("kms", &["ScheduleKeyDeletion"], &[Is(L::Days, "q.pendingWindowInDays")]),
    ("kms", &["PutKeyPolicy"], &[]),
    ("ssm", &["SendCommand"], &[Is(L::Document, "q.documentName"), Is(L::ConnectsTo, "q.instanceIds[]"), Is(L::ConnectsTo, "q.targets[].values[]"), Is(L::Command, "s.command.commandId")]),
    ("ssm", &["StartSession"], &[Is(L::ConnectsTo, "q.target"), Is(L::Document, "q.documentName"), Is(L::Session, "s.sessionId")]),
    ("ssm", &["ModifyDocumentPermission"], &[Is(L::Document, "q.name")]),
    ("ssm", &["UpdateServiceSetting"], &[Is(L::Setting, "q.settingId"), Is(L::SetTo, "q.settingValue")]),
    ("ram", &["CreateResourceShare"], &[First(L::Share, &["s.resourceShare.resourceShareArn", "q.name"]), Is(L::Resource, "q.resourceArns[]"), If(F::ExternalPrincipals, "q.allowExternalPrincipals", "true")]),
    ("ram", &["AssociateResourceShare", "DisassociateResourceShare"], &[Is(L::Share, "q.resourceShareArn"), Is(L::Resource, "q.resourceArns[]")]),
    ("ecr", &["SetRepositoryPolicy"], &[]),
    ("route53", &["ChangeResourceRecordSets"], &[Is(L::DnsName, "q.changeBatch.changes[].resourceRecordSet.name"),
        Is(L::DnsTarget, "q.changeBatch.changes[].resourceRecordSet.resourceRecords[].value"), Is(L::DnsTarget, "q.changeBatch.changes[].resourceRecordSet.aliasTarget.dNSName")]),
    ("elasticloadbalancing", &["CreateLoadBalancer"], &[First(L::LoadBalancer, &["s.loadBalancers[].loadBalancerArn", "q.name", "q.loadBalancerName"]),
        If(F::InternetFacing, "q.scheme", "internet-facing"), If(F::InternetFacing, "s.loadBalancers[].scheme", "internet-facing")]),
    ("cloudfront", &["CreateDistribution", "CreateDistributionWithTags"], &[Is(L::Distribution, "s.distribution.id"), Is(L::Endpoint, "s.distribution.domainName")]),
    ("apigateway", &["CreateRestApi"], &[Is(L::Api, "s.id"), Is(L::Name, "q.createRestApiInput.name")]),
    ("amplify", &["CreateApp"], &[Is(L::Application, "s.app.appId"), Is(L::Endpoint, "s.app.defaultDomain")]),
    ("sns", &["Subscribe"], &[Is(L::Protocol, "q.protocol"), Is(L::Endpoint, "q.endpoint"), Is(L::Subscription, "s.subscriptionArn")]),
    ("sns", &["SetTopicAttributes"], &[]),
    ("sns", &["AddPermission"], &[Action("q.actionNames[]")]),
    ("sqs", &["SetQueueAttributes"], &[Is(L::Queue, "q.queueUrl")]),
    ("sqs", &["AddPermission"], &[Is(L::Queue, "q.queueUrl"), Action("q.actionNames[]")]),
    // The watch, and where what it sees goes.
    ("cloudtrail", &["CreateTrail", "UpdateTrail"], &[Is(L::Destination, "q.s3BucketName"), Is(L::Destination, "q.cloudWatchLogsLogGroupArn"),
        Off("q", &["isMultiRegionTrail", "enableLogFileValidation", "includeGlobalServiceEvents", "isOrganizationTrail"])]),
    ("cloudtrail", &["PutEventSelectors"], &[Off("q.eventSelectors[]", &["includeManagementEvents"]), Is(L::Reads, "q.eventSelectors[].readWriteType"),
        Is(L::ExceptSource, "q.eventSelectors[].excludeManagementEventSources[]")]),
    ("logs", &["PutSubscriptionFilter"], &[Is(L::Destination, "q.destinationArn")]),
    ("logs", &["PutRetentionPolicy"], &[Is(L::Days, "q.retentionInDays")]),
    ("logs", &["PutDestination"], &[Is(L::Destination, "q.targetArn")]),
    ("events", &["PutTargets"], &[Is(L::Target, "q.targets[].arn")]),
    // The organization.
    ("organizations", &["CreateAccount", "CreateGovCloudAccount"], &[Is(L::Name, "s.createAccountStatus.accountName"), Is(L::Account, "s.createAccountStatus.accountId")]),
    ("organizations", &["InviteAccountToOrganization"], &[Is(L::Account, "q.target.id")]),
    ("organizations", &["CreatePolicy"], &[Is(L::Policy, "s.policy.policySummary.id"), Is(L::Name, "q.name")]),
];

/// Switches that several services have under one name: these say that something can be reached or has a new password.
const ANYWHERE: &[Place] = &[
    If(F::Public, "q.publiclyAccessible", "true"),
    If(F::Public, "q.cluster.publiclyAccessible", "true"),
    Any(F::MasterPassword, "q.masterUserPassword"),
    Any(F::MasterPassword, "q.advancedSecurityOptions.masterUserOptions.masterUserPassword"),
];

/// Services that have such switches.
const DATABASES: [&str; 9] =
    ["rds", "redshift", "redshift-serverless", "neptune", "docdb", "docdb-elastic", "dms", "es", "mq"];

/// The places of an action.
pub(super) fn row(service: &str, event_name: &str) -> Option<&'static [Place]> {
    let row = TABLE.iter().find(|(of, names, _)| *of == service && names.contains(&event_name))?;
    Some(row.2)
}

/// What stands at these places, and at those that an action of the service may have anyway.
pub(super) fn read(call: &Call<'_>, places: &[Place], found: &mut Vec<Detail>) {
    places.iter().for_each(|place| one(call, place, found));
    anywhere(call, found);
}

/// What stands at the places that an action of the service may have anyway.
pub(super) fn anywhere(call: &Call<'_>, found: &mut Vec<Detail>) {
    if DATABASES.contains(&call.service) {
        ANYWHERE.iter().for_each(|place| one(call, place, found));
    }
}

fn one(call: &Call<'_>, place_of: &Place, found: &mut Vec<Detail>) {
    let values = |path: &str| {
        let mut values = Values::default();
        see(call, path, &mut |json| text(json).into_iter().for_each(|text| values.add(text)));
        values
    };
    let detail = match place_of {
        Is(label, path) => values(path).named(*label),
        First(label, paths) => paths.iter().find_map(|path| values(path).named(*label)),
        If(fact, path, wanted) => {
            let mut holds = false;
            see(call, path, &mut |json| holds |= text(json).is_some_and(|text| text.eq_ignore_ascii_case(wanted)));
            holds.then_some(Detail::Fact { fact: *fact })
        }
        Any(fact, path) => {
            let mut holds = false;
            see(call, path, &mut |json| holds |= !matches!(json, Json::Null));
            holds.then_some(Detail::Fact { fact: *fact })
        }
        Off(path, names) => {
            let mut off = Values::default();
            see(call, path, &mut |json| {
                let is_off = |name: &&&str| place(json, name).is_some() && !is_true(json, name);
                names.iter().filter(is_off).for_each(|name| off.add(name));
            });
            off.named(Label::Off)
        }
        Action(path) => {
            let mut actions = Values::default();
            see(call, path, &mut |json| text(json).into_iter().for_each(|text| actions.add(without_service(text))));
            actions.named(Label::Operation)
        }
        Created(path) => one_text(call, path).map(|id| Detail::AccessKeyCreated { id }),
        Temporary(path) => one_text(call, path).map(|id| Detail::TemporaryKey { id }),
    };
    found.extend(detail.filter(|detail| !found.contains(detail)));
}

fn one_text(call: &Call<'_>, path: &str) -> Option<Box<str>> {
    let (side, path) = side(call, path);
    value(at(side, path?)?)
}

/// The side that a path begins with, and the rest of it.
fn side<'r, 'p>(call: &Call<'r>, path: &'p str) -> (&'r Json<'r>, Option<&'p str>) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    (if first == "s" { call.response } else { call.request }, rest)
}

fn see<'r>(call: &Call<'r>, path: &str, see: &mut impl FnMut(&'r Json<'r>)) {
    match side(call, path) {
        (side, Some(rest)) => each(side, rest, see),
        (side, None) => see(side),
    }
}
