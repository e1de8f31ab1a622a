//! Whom something is shared with, where no policy document says it: snapshots, images, documents, access lists,
//! permissions of functions, queues and topics.

use super::access::Access;
use super::field::{at, each, get, items, items_at, place, text};
use super::{Call, Detail, Fact, Principal};
use filter_pattern::json::Json;

pub(super) fn read(call: &Call<'_>, found: &mut Vec<Detail>) {
    let request = call.request;
    match (call.service, call.event_name) {
        ("ec2", "ModifySnapshotAttribute") => permission(call, "createVolumePermission", found),
        ("ec2", "ModifyImageAttribute") => permission(call, "launchPermission", found),
        ("ec2", "ModifyFpgaImageAttribute") => permission(call, "loadPermission", found),
        ("rds" | "neptune" | "docdb", "ModifyDBSnapshotAttribute" | "ModifyDBClusterSnapshotAttribute") => {
            accounts(call, "valuesToAdd[]", "valuesToRemove[]", found);
        }
        ("redshift", "AuthorizeSnapshotAccess") => accounts(call, "accountWithRestoreAccess", "", found),
        ("redshift", "RevokeSnapshotAccess") => accounts(call, "", "accountWithRestoreAccess", found),
        ("redshift", "AuthorizeEndpointAccess") => accounts(call, "account", "", found),
        ("ssm", "ModifyDocumentPermission") => accounts(call, "accountIdsToAdd[]", "accountIdsToRemove[]", found),
        ("ram", "CreateResourceShare" | "AssociateResourceShare") => accounts(call, "principals[]", "", found),
        ("ram", "DisassociateResourceShare") => accounts(call, "", "principals[]", found),
        ("sns" | "sqs", "AddPermission") => {
            let list = ["aWSAccountIds[]", "aWSAccountId[]", "accountIds[]"];
            list.iter().for_each(|list| accounts(call, list, "", found));
        }
        ("ec2", "ModifyVpcEndpointServicePermissions") => {
            accounts(call, "AddAllowedPrincipals[]", "RemoveAllowedPrincipals[]", found);
        }
        ("kms", "CreateGrant") => accounts(call, "granteePrincipal", "", found),
        ("events", "PutPermission") => {
            let mut access = Access::default();
            let conditional = place(request, "condition").and_then(Json::as_object).is_some();
            access.add(at(request, "principal").and_then(|who| Principal::aws(who, call.account)), conditional);
            found.extend(access.detail(|who, left_out| Detail::Allows { who, left_out }));
        }
        ("lambda", "AddPermission" | "AddLayerVersionPermission") => function(call, found),
        ("s3", "CreateBucket" | "PutBucketAcl" | "PutObjectAcl" | "PutObject" | "CopyObject") => {
            access_list(call, found);
        }
        _ => (),
    }
}

/// Permission to use a snapshot or an image: `{"add": {"items": [{"userId": …}, {"group": "all"}]}}`.
fn permission(call: &Call<'_>, name: &str, found: &mut Vec<Detail>) {
    for (side, detail) in [
        ("add", (|who, left_out| Detail::Allows { who, left_out }) as fn(_, _) -> _),
        ("remove", |who, left_out| Detail::Unshared { who, left_out }),
    ] {
        let mut access = Access::default();
        for item in place(call.request, name).map(|json| items_at(json, side)).unwrap_or_default() {
            if at(item, "group") == Some("all") {
                access.add(Some(Principal::AnyAwsAccount), false);
            }
            for name in ["userId", "organizationArn", "organizationalUnitArn"] {
                access.add(at(item, name).and_then(|text| Principal::aws(text, call.account)), false);
            }
        }
        found.extend(access.detail(detail));
    }
}

/// Lists of accounts or ARNs; `all` is every account.
fn accounts(call: &Call<'_>, added: &str, removed: &str, found: &mut Vec<Detail>) {
    let listed = |path: &str| {
        let mut access = Access::default();
        each(call.request, path, &mut |json| {
            let who = text(json).and_then(|text| match text {
                "all" | "All" | "*" => Some(Principal::AnyAwsAccount),
                text => Principal::aws(text, call.account),
            });
            access.add(who, false);
        });
        access
    };
    found.extend(listed(added).detail(|who, left_out| Detail::Allows { who, left_out }));
    found.extend(listed(removed).detail(|who, left_out| Detail::Unshared { who, left_out }));
}

/// Who may call a function or use a layer.
fn function(call: &Call<'_>, found: &mut Vec<Detail>) {
    let request = call.request;
    let limits = ["sourceArn", "sourceAccount", "principalOrgID", "organizationId", "eventSourceToken"];
    let conditional = limits.iter().any(|name| at(request, name).is_some());
    let mut access = Access::default();
    access.add(at(request, "principal").and_then(|who| Principal::aws(who, call.account)), conditional);
    found.extend(access.detail(|who, left_out| Detail::Allows { who, left_out }));
    if at(request, "functionUrlAuthType") == Some("NONE") {
        found.push(Detail::Fact { fact: Fact::UrlWithoutAuthentication });
    }
}

/// Who is granted access to a bucket or an object: by a canned list, headers, or the list itself.
///
/// Source: Amazon S3 User Guide, "Access control list (ACL) overview".
fn access_list(call: &Call<'_>, found: &mut Vec<Detail>) {
    let request = call.request;
    let header = |name: &str| {
        let lists = [Some(request), get(request, "accessControlList")];
        lists.into_iter().flatten().find_map(|json| json.get(name)).and_then(text)
    };
    let canned = match header("x-amz-acl") {
        Some("public-read") => Some(Fact::PublicRead),
        Some("public-read-write") => Some(Fact::PublicReadWrite),
        Some("authenticated-read") => Some(Fact::AnyAccountRead),
        _ => None,
    };
    found.extend(canned.map(|fact| Detail::Fact { fact }));
    let mut access = Access::default();
    // A group is known by the end of its URI: http://acs.amazonaws.com/groups/global/AllUsers.
    let mut grantee = |text: &str| {
        let who = if text.contains("/groups/global/AllUsers") {
            Some(Principal::Anyone)
        } else if text.contains("/groups/global/AuthenticatedUsers") {
            Some(Principal::AnyAwsAccount)
        } else {
            None
        };
        access.add(who, false);
    };
    for name in ["read", "write", "read-acp", "write-acp", "full-control"] {
        header(&format!("x-amz-grant-{name}")).into_iter().for_each(&mut grantee);
    }
    for list in ["AccessControlPolicy.AccessControlList.Grant", "AccessControlPolicy.accessControlList.grants"] {
        for grant in place(request, list).map(items).unwrap_or_default() {
            at(grant, "Grantee.URI").or_else(|| at(grant, "Grantee.uri")).into_iter().for_each(&mut grantee);
        }
    }
    found.extend(access.detail(|who, left_out| Detail::Allows { who, left_out }));
}
