//! Publishing to an SNS topic.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::Region;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Builder;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use root_usage::email::{Attribute, Message};
use root_usage::notify::topic::TopicArn;
use root_usage::notify::{Notify, Receipt, Refusal, Remedy, topic};
use root_usage::watch::WatchError;
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::aws::Aws;

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long all attempts together may take: well inside the function's 30 seconds, so that a failure is still told.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(18);

/// The same for a pager: it comes after the mail, and the next mail may wait for it.
const PAGER_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);

/// The same for all attempts to reach a pager.
const PAGER_OPERATION_TIMEOUT: Duration = Duration::from_millis(3500);

/// An SNS topic.
///
/// The client is made when the first message is published: almost no invocation publishes one.
pub struct Sns {
    topic: TopicArn,
    is_pager: bool,
    aws: Aws,
    client: OnceCell<Client>,
}

/// Why SNS did not take a message.
#[derive(Debug, Error)]
#[error("SNS did not take the message for {topic}; {advice}")]
pub struct SnsError {
    topic: String,
    remedy: Remedy,
    advice: &'static str,
    source: Box<SdkError<PublishError>>,
}

impl Refusal for SnsError {
    fn remedy(&self) -> Remedy {
        self.remedy
    }

    fn may_have_arrived(&self) -> bool {
        matches!(*self.source, SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_))
    }
}

/// What to do about an error, by the code and the text that SNS gives.
///
/// Source: SNS API Reference, `Publish`, "Errors", and "Common Errors".
fn remedy(code: &str, text: &str, is_pager: bool) -> (Remedy, &'static str) {
    match code {
        "InvalidParameter" | "InvalidParameterValue" | "NotFound" | "NotFoundException"
            if is_pager && (text.contains("TopicArn") || code.starts_with("NotFound")) =>
        {
            (Remedy::Repair, "PAGER_TOPIC_ARN is not the ARN of a topic that SNS knows")
        }
        "AuthorizationError" | "AuthorizationErrorException" | "AccessDenied" | "AccessDeniedException" if is_pager => {
            (
                Remedy::Repair,
                "the function's role needs sns:Publish on the pager's topic, and in another account that topic's policy must \
             allow it too",
            )
        }
        "InvalidParameter" | "InvalidParameterValue" if text.contains("TopicArn") => {
            (Remedy::Repair, "ALERT_TOPIC_ARN is not the ARN of a topic that SNS knows")
        }
        "InvalidParameter"
        | "InvalidParameterValue"
        | "ParameterValueInvalid"
        | "ValidationError"
        | "ValidationException" => (Remedy::Rephrase, "it refuses this message"),
        "NotFound" | "NotFoundException" => (
            Remedy::Repair,
            "there is no such topic: deploy the stack again, or set ALERT_TOPIC_ARN to one that exists",
        ),
        "AuthorizationError" | "AuthorizationErrorException" | "AccessDenied" | "AccessDeniedException" => (
            Remedy::Repair,
            "the function's role needs sns:Publish on the topic, and nothing in the topic's policy may deny it",
        ),
        code if code.starts_with("KMS") => (
            Remedy::Repair,
            "the topic's key must be enabled, and its policy must allow the function's role kms:GenerateDataKey* and \
             kms:Decrypt",
        ),
        "EndpointDisabled"
        | "InvalidSecurity"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "OptInRequired" => (Remedy::Repair, "it does not accept the function's credentials or the topic's Region"),
        _ if is_pager => (Remedy::Retry, "it is not tried again"),
        _ => (Remedy::Retry, "Lambda will try again"),
    }
}

/// What subscriptions can choose a message by.
fn attributes(message: &Message) -> HashMap<String, MessageAttributeValue> {
    let value = |each: &Attribute| {
        MessageAttributeValue::builder().data_type(each.data_type).string_value(&each.value).build().ok()
    };
    let attributes = message.attributes.each();
    attributes.iter().filter_map(|each| Some((each.name.to_owned(), value(each)?))).collect()
}

impl Sns {
    /// The topic that alerts go to.
    #[must_use]
    pub fn new(topic: TopicArn, aws: Aws) -> Self {
        Self { topic, is_pager: false, aws, client: OnceCell::new() }
    }

    /// The topic of a pager: its subscribers are programs, and it has less time.
    #[must_use]
    pub fn pager(topic: TopicArn, aws: Aws) -> Self {
        Self { is_pager: true, ..Self::new(topic, aws) }
    }

    async fn client(&self) -> &Client {
        let make = || async {
            let (attempt, operation) = match self.is_pager {
                true => (PAGER_ATTEMPT_TIMEOUT, PAGER_OPERATION_TIMEOUT),
                false => (ATTEMPT_TIMEOUT, OPERATION_TIMEOUT),
            };
            let timeouts =
                TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(operation).build();
            let config = Builder::from(self.aws.config().await)
                .region(Region::new(self.topic.region().to_owned()))
                .timeout_config(timeouts)
                .build();
            Client::from_conf(config)
        };
        self.client.get_or_init(make).await
    }
}

impl Notify for Sns {
    type Error = SnsError;

    fn fits(&self, message: &Message) -> bool {
        topic::fits(message)
    }

    async fn publish(&self, message: &Message) -> Result<Receipt, SnsError> {
        let publish = self.client().await.publish().topic_arn(self.topic.as_str()).subject(message.subject.as_str());
        let publish = publish.set_message_attributes(Some(attributes(message)));
        let publish = match topic::payload(message).filter(|_| !self.is_pager) {
            Some(payload) => publish.message_structure("json").message(payload),
            None if self.is_pager => publish.message(topic::document(message)),
            None => publish.message(&message.text),
        };
        match publish.send().await {
            Ok(output) => Ok(Receipt { message_id: output.message_id.unwrap_or_default() }),
            Err(source) => {
                let (code, text) = (source.code().unwrap_or_default(), source.message().unwrap_or_default());
                let (remedy, advice) = remedy(code, text, self.is_pager);
                Err(SnsError { topic: self.topic.as_str().to_owned(), remedy, advice, source: Box::new(source) })
            }
        }
    }

    async fn readers(&self) -> Result<Option<usize>, WatchError> {
        let asked = self.client().await.get_topic_attributes().topic_arn(self.topic.as_str()).send().await;
        let answer = asked.map_err(|source| {
            let advice = match source.code().unwrap_or_default() {
                "AuthorizationError" | "AuthorizationErrorException" | "AccessDenied" | "AccessDeniedException" => {
                    "the function's role needs sns:GetTopicAttributes on the topic"
                }
                code => remedy(code, source.message().unwrap_or_default(), self.is_pager).1,
            };
            WatchError { what: "whether the topic has a confirmed subscription", advice, source: Box::new(source) }
        })?;
        let attributes = answer.attributes.unwrap_or_default();
        Ok(attributes.get("SubscriptionsConfirmed").and_then(|count| count.parse().ok()))
    }
}
