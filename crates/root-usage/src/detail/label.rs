//! What a value is, and what has no value.

use serde::Serialize;

/// What values are. The words for it are the mail's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "a name that needed words would be another name")]
pub enum Label {
    Account,
    Address,
    Allocation,
    AllowedOrigin,
    Api,
    Application,
    Caller,
    Capability,
    Certificate,
    Cluster,
    CodeFrom,
    Command,
    ConnectsTo,
    CopiesTo,
    CopyOf,
    Database,
    Days,
    Destination,
    Distribution,
    DnsName,
    DnsTarget,
    Document,
    Domain,
    Endpoint,
    ExceptSource,
    Fleet,
    FlowLog,
    Function,
    Grant,
    Group,
    Id,
    Image,
    Instance,
    InstanceProfile,
    InstanceType,
    Key,
    KeyPair,
    Layer,
    LoadBalancer,
    MadeFrom,
    MfaDevice,
    Name,
    Network,
    NetworkAcl,
    NetworkInterface,
    Notebook,
    Off,
    OidcClient,
    Operation,
    PeerAccount,
    PeerVpc,
    PeeringConnection,
    PermissionSet,
    Policy,
    Pool,
    Protocol,
    Provider,
    Queue,
    Reads,
    RedirectsTo,
    Resource,
    Role,
    RouteTable,
    RunsAs,
    Seconds,
    Secret,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    ServiceCredential,
    Session,
    SetTo,
    Setting,
    Share,
    SigningCertificate,
    Snapshot,
    SourceRegion,
    SpotRequest,
    SshKey,
    Stack,
    Subscription,
    Target,
    Task,
    TaskDefinition,
    TrustAnchor,
    User,
    Version,
    Volume,
    Workspace,
}

/// What is so or isn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// Everyone with an AWS account may read it.
    AnyAccountRead,
    /// Every user of a directory may use it.
    Everyone,
    /// A resource share is open to accounts outside the organization.
    ExternalPrincipals,
    /// It can reach the internet by itself.
    InternetAccess,
    /// A load balancer that is reached from the internet.
    InternetFacing,
    /// A database's administrator gets a password.
    MasterPassword,
    /// It can be reached from the internet.
    Public,
    /// A cluster's API can be reached from the internet.
    PublicEndpoint,
    /// Machines get public addresses.
    PublicIp,
    /// Everyone may read it.
    PublicRead,
    /// Everyone may read and change it.
    PublicReadWrite,
    /// A URL was handed out that signs in whoever has it.
    SignedUrl,
    /// A function is called by everyone who has its URL.
    UrlWithoutAuthentication,
    /// A script that runs when the machine starts.
    UserData,
}

impl Fact {
    /// Whether it lets people in whom nobody knows.
    pub(super) fn is_public(self) -> bool {
        match self {
            Self::AnyAccountRead
            | Self::Public
            | Self::PublicEndpoint
            | Self::PublicRead
            | Self::PublicReadWrite
            | Self::UrlWithoutAuthentication => true,
            Self::Everyone
            | Self::ExternalPrincipals
            | Self::InternetAccess
            | Self::InternetFacing
            | Self::MasterPassword
            | Self::PublicIp
            | Self::SignedUrl
            | Self::UserData => false,
        }
    }
}
