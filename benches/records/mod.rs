//! CloudTrail records: made up, and the same for the same seed.
//!
//! The records are those of an account that a deployment tool, some people and AWS services work in. They are meant to
//! be like real ones where that decides what a batch costs: bytes and keys of a record, and how far it compresses.
//! Accounts, keys and addresses are the ones that AWS's documentation uses.

use std::fmt::Write as _;

/// The account.
pub const ACCOUNT: &str = "111122223333";
/// The Region.
pub const REGION: &str = "us-east-1";
const HEX: &[u8] = b"0123456789abcdef";
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const DEPLOYER: &str = "APN/1.0 HashiCorp/1.0 Terraform/1.9.8 (+https://www.terraform.io) terraform-provider-aws/5.76.0 \
    (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.32.4 os/linux lang/go#1.23.3 md/GOOS#linux \
    md/GOARCH#amd64";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
const SCRIPT: &str = "[Boto3/1.35.63 md/Botocore#1.35.63 md/awscrt#0.22.0 ua/2.0 os/linux#6.8.0-1018-aws md/arch#x86_64 \
    lang/python#3.12.7 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.35.63 Resource]";

/// What is called, how often among a hundred, and what parameters it has: `~` is a hexadecimal digit of its own.
const ACTIONS: [(&str, &str, u64, bool, &str); 24] = [
    (
        "kms",
        "Decrypt",
        9,
        true,
        r#"{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"SecretARN":"arn:aws:secretsmanager:us-east-1:111122223333:secret:service-~-AbCdEf","SecretVersionId":"~~~~~~~~-~~~~-4~~~-8~~~-~~~~~~~~~~~~"}}"#,
    ),
    (
        "kms",
        "GenerateDataKey",
        3,
        true,
        r#"{"keySpec":"AES_256","encryptionContext":{"aws:s3:arn":"arn:aws:s3:::amzn-s3-demo-bucket"},"keyId":"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}"#,
    ),
    (
        "ec2",
        "DescribeRouteTables",
        8,
        true,
        r#"{"routeTableIdSet":{"items":[{"routeTableId":"rtb-0~~~~~~~~~~~~"}]},"filterSet":{}}"#,
    ),
    ("ec2", "DescribeVpcAttribute", 5, true, r#"{"vpcId":"vpc-0~~~~~~~~~~~~","attribute":"enableDnsSupport"}"#),
    (
        "ec2",
        "DescribeSecurityGroups",
        6,
        true,
        r#"{"securityGroupSet":{},"securityGroupIdSet":{"items":[{"groupId":"sg-0~~~~~~~~~~~~"}]},"filterSet":{}}"#,
    ),
    (
        "ec2",
        "DescribeSubnets",
        6,
        true,
        r#"{"subnetSet":{},"filterSet":{"items":[{"name":"vpc-id","valueSet":{"items":[{"value":"vpc-0~~~~~~~~~~~~"}]}},{"name":"tag:Name","valueSet":{"items":[{"value":"private-*"}]}}]}}"#,
    ),
    (
        "ec2",
        "DescribeInstances",
        7,
        true,
        r#"{"maxResults":1000,"instancesSet":{},"filterSet":{"items":[{"name":"instance-state-name","valueSet":{"items":[{"value":"pending"},{"value":"running"}]}}]}}"#,
    ),
    (
        "ec2",
        "DescribeNetworkAcls",
        3,
        true,
        r#"{"networkAclIdSet":{},"filterSet":{"items":[{"name":"association.subnet-id","valueSet":{"items":[{"value":"subnet-0~~~~~~~~~~~~"}]}}]}}"#,
    ),
    (
        "ec2",
        "CreateTags",
        2,
        false,
        r#"{"resourcesSet":{"items":[{"resourceId":"i-0~~~~~~~~~~~~~~~~"}]},"tagSet":{"items":[{"key":"Name","value":"worker"},{"key":"team","value":"platform"}]}}"#,
    ),
    ("iam", "GetUser", 5, true, r#"{"userName":"deployer-~"}"#),
    ("iam", "GetRole", 4, true, r#"{"roleName":"service-role-~~"}"#),
    ("iam", "ListAttachedRolePolicies", 4, true, r#"{"roleName":"service-role-~~"}"#),
    ("ssm", "GetParameter", 5, true, r#"{"name":"/service/~~/url","withDecryption":true}"#),
    (
        "ssm",
        "DescribeParameters",
        4,
        true,
        r#"{"parameterFilters":[{"key":"Name","option":"Equals","values":["/service/~~/url"]}]}"#,
    ),
    (
        "ssm",
        "UpdateInstanceInformation",
        4,
        false,
        r#"{"instanceId":"i-0~~~~~~~~~~~~~~~~","agentVersion":"3.3.1345.0","agentStatus":"Active","platformType":"Linux","platformName":"Amazon Linux","platformVersion":"2023","iPAddress":"10.0.~.~~","computerName":"ip-10-0-~-~~.ec2.internal"}"#,
    ),
    (
        "secretsmanager",
        "GetSecretValue",
        4,
        true,
        r#"{"secretId":"arn:aws:secretsmanager:us-east-1:111122223333:secret:service-~-AbCdEf"}"#,
    ),
    (
        "sts",
        "AssumeRole",
        5,
        true,
        r#"{"roleArn":"arn:aws:iam::111122223333:role/service-role-~~","roleSessionName":"session-~~~~~~~~~~","durationSeconds":3600}"#,
    ),
    (
        "s3",
        "GetBucketAcl",
        4,
        true,
        r#"{"bucketName":"amzn-s3-demo-bucket","Host":"amzn-s3-demo-bucket.s3.amazonaws.com","acl":""}"#,
    ),
    ("s3", "ListBuckets", 2, true, r#"{"Host":"s3.amazonaws.com"}"#),
    ("rds", "DescribeDBInstances", 3, true, r#"{"dBInstanceIdentifier":"database-~~","includeShared":false}"#),
    (
        "logs",
        "CreateLogStream",
        3,
        false,
        r#"{"logGroupName":"/aws/lambda/service-~~","logStreamName":"2026/11/20/[$LATEST]~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"}"#,
    ),
    ("lambda", "ListFunctions20150331", 2, true, "null"),
    (
        "health",
        "DescribeEventAggregates",
        1,
        true,
        r#"{"aggregateField":"eventTypeCategory","filter":{"eventStatusCodes":["open","upcoming"],"startTimes":[{"from":"Nov 13, 2026, 7:30:00 AM"}]}}"#,
    ),
    ("dynamodb", "DescribeTable", 1, true, r#"{"tableName":"orders-~~"}"#),
];

/// Numbers that are the same for the same seed: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        let index = self.below(items.len() as u64);
        &items[usize::try_from(index).unwrap()]
    }

    fn letters(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count).map(|_| char::from(*self.of(alphabet))).collect()
    }

    fn uuid(&mut self) -> String {
        self.filled("~~~~~~~~-~~~~-4~~~-a~~~-~~~~~~~~~~~~")
    }

    fn filled(&mut self, template: &str) -> String {
        template.chars().map(|c| if c == '~' { char::from(*self.of(HEX)) } else { c }).collect()
    }
}

/// The records of one account, one after the other.
pub struct Records {
    random: Random,
    at: u64,
}

impl Records {
    pub fn new(seed: u64) -> Self {
        Self { random: Random(seed), at: 0 }
    }

    fn time(&mut self) -> String {
        self.at += 1;
        let seconds = self.at / 3;
        format!("2026-11-20T{:02}:{:02}:{:02}Z", 7 + seconds / 3600 % 17, seconds / 60 % 60, seconds % 60)
    }

    /// A record that no shipped rule matches.
    pub fn ordinary(&mut self) -> String {
        let time = self.time();
        let random = &mut self.random;
        let mut pick = random.below(ACTIONS.iter().map(|action| action.2).sum());
        let (service, name, _, read_only, parameters) = *ACTIONS
            .iter()
            .find(|action| {
                let found = pick < action.2;
                pick = pick.saturating_sub(action.2);
                found
            })
            .unwrap();
        let parameters = random.filled(parameters);
        let who = random.below(100);
        let by_service = service == "kms" && who < 60;
        let identity = match who {
            0..65 => {
                let user = random.below(4);
                let session = if who < 15 {
                    r#","sessionContext":{"attributes":{"creationDate":"2026-11-20T07:30:00Z","mfaAuthenticated":"true"}}"#
                } else {
                    ""
                };
                let by = if by_service { r#","invokedBy":"secretsmanager.amazonaws.com""# } else { "" };
                format!(
                    r#"{{"type":"IAMUser","principalId":"AIDACKCEVSQ6C2EXAMP{user}","arn":"arn:aws:iam::{ACCOUNT}:user/deployer-{user}","accountId":"{ACCOUNT}","accessKeyId":"AKIAI44QH8DHBEXAMPL{user}","userName":"deployer-{user}"{session}{by}}}"#
                )
            }
            65..97 => {
                let role = random.below(12);
                let session = random.letters(HEX, 19);
                let key = random.letters(LETTERS, 12);
                format!(
                    r#"{{"type":"AssumedRole","principalId":"AROAIDPPEZS35WEXAM{role:02}:session-{session}","arn":"arn:aws:sts::{ACCOUNT}:assumed-role/service-role-{role:02}/session-{session}","accountId":"{ACCOUNT}","accessKeyId":"ASIAEXAM{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAIDPPEZS35WEXAM{role:02}","arn":"arn:aws:iam::{ACCOUNT}:role/service-role-{role:02}","accountId":"{ACCOUNT}","userName":"service-role-{role:02}"}},"webIdFederationData":{{}},"attributes":{{"creationDate":"{time}","mfaAuthenticated":"false"}}}}}}"#
                )
            }
            _ => r#"{"type":"AWSService","invokedBy":"lambda.amazonaws.com"}"#.to_owned(),
        };
        let (address, agent) = match who {
            _ if by_service => ("secretsmanager.amazonaws.com", "secretsmanager.amazonaws.com"),
            0..50 => ("192.0.2.80", DEPLOYER),
            50..60 => ("AWS Internal", "AWS Internal"),
            60..70 => ("198.51.100.77", BROWSER),
            70..97 => ("203.0.113.24", SCRIPT),
            _ => ("lambda.amazonaws.com", "lambda.amazonaws.com"),
        };
        let mut record = format!(
            r#"{{"eventVersion":"1.11","userIdentity":{identity},"eventTime":"{time}","eventSource":"{service}.amazonaws.com","eventName":"{name}","awsRegion":"{REGION}","sourceIPAddress":"{address}","userAgent":"{agent}","#
        );
        match random.below(100) {
            0..5 => record.push_str(r#""errorCode":"ThrottlingException","errorMessage":"Rate exceeded","#),
            5..9 => {
                let table = random.letters(HEX, 17);
                let _ = write!(
                    record,
                    r#""errorCode":"Client.InvalidRouteTableID.NotFound","errorMessage":"The routeTable ID 'rtb-{table}' does not exist","#
                );
            }
            _ => {}
        }
        let (request, event) = (random.uuid(), random.uuid());
        let _ = write!(record, r#""requestParameters":{parameters},"responseElements":null,"#);
        if service == "s3" {
            let id = random.letters(BASE64_LETTERS, 75);
            let _ = write!(
                record,
                r#""additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{id}=","bytesTransferredOut":{}}},"#,
                random.below(4000)
            );
        }
        let _ = write!(record, r#""requestID":"{request}","eventID":"{event}","readOnly":{read_only},"#);
        if service == "kms" || service == "sts" || service == "s3" {
            let key = random.of(HEX);
            let _ = write!(
                record,
                r#""resources":[{{"accountId":"{ACCOUNT}","type":"AWS::KMS::Key","ARN":"arn:aws:kms:{REGION}:{ACCOUNT}:key/{}234abcd-12ab-34cd-56ef-1234567890ab"}}],"#,
                char::from(*key)
            );
        }
        let _ = write!(
            record,
            r#""eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{ACCOUNT}","eventCategory":"Management""#
        );
        if !by_service && agent.len() > 40 {
            let _ = write!(
                record,
                r#","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{service}.{REGION}.amazonaws.com"}}"#
            );
        }
        record.push('}');
        record
    }

    /// A record that the rule `root-usage` matches.
    pub fn root(&mut self) -> String {
        let time = self.time();
        let (request, event) = (self.random.uuid(), self.random.uuid());
        format!(
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"Root","principalId":"{ACCOUNT}","arn":"arn:aws:iam::{ACCOUNT}:root","accountId":"{ACCOUNT}","accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionContext":{{"attributes":{{"creationDate":"2026-11-20T07:30:00Z","mfaAuthenticated":"true"}}}}}},"eventTime":"{time}","eventSource":"iam.amazonaws.com","eventName":"ListUsers","awsRegion":"{REGION}","sourceIPAddress":"198.51.100.77","userAgent":"{BROWSER}","requestParameters":null,"responseElements":null,"requestID":"{request}","eventID":"{event}","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{ACCOUNT}","eventCategory":"Management","sessionCredentialFromConsole":"true"}}"#
        )
    }
}
