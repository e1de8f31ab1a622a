//! The stack's custom resource: before CloudFormation deletes the stack, all that is stored is told.
//!
//! Source: CloudFormation User Guide, "Custom resource request objects" and "Custom resource response objects".

use std::error::Error;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::aws::Aws;

/// The most bytes of such a request: an address that is signed, and the addresses of five readers.
const REQUEST_MAX: usize = 16 << 10;

/// What CloudFormation asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(rename = "awslogs")]
    batch: Option<IgnoredAny>,
    request_type: String,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    physical_resource_id: Option<String>,
}

/// What it is answered.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'r> {
    status: &'static str,
    stack_id: &'r str,
    request_id: &'r str,
    logical_resource_id: &'r str,
    physical_resource_id: &'r str,
}

/// Why CloudFormation could not be answered. It waits for a while, and Lambda tries again.
#[derive(Debug, Error)]
#[error("CloudFormation could not be answered at the address that it gave")]
pub struct AnswerError(#[source] Box<dyn Error + Send + Sync>);

impl Request {
    /// The request that an event is, if it is one. One that brings log events never is.
    pub fn of(event: &str) -> Option<Self> {
        if event.len() > REQUEST_MAX || !event.contains("\"ResponseURL\"") {
            return None;
        }
        serde_json::from_str(event).ok().filter(|request: &Self| request.batch.is_none())
    }

    /// Whether the resource goes, and the stack with it.
    pub fn is_delete(&self) -> bool {
        self.request_type == "Delete"
    }

    /// Says that it is done.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if that doesn't arrive.
    pub async fn succeed(&self, aws: &Aws) -> Result<(), AnswerError> {
        let response = Response {
            status: "SUCCESS",
            stack_id: &self.stack_id,
            request_id: &self.request_id,
            logical_resource_id: &self.logical_resource_id,
            // Another one would have CloudFormation delete the old one.
            physical_resource_id: self.physical_resource_id.as_deref().unwrap_or("what-is-stored"),
        };
        let body = serde_json::to_string(&response).map_err(|error| AnswerError(error.into()))?;
        let mut request = HttpRequest::new(body.clone().into());
        request.set_method("PUT").map_err(|error| AnswerError(error.into()))?;
        request.set_uri(self.response_url.clone()).map_err(|error| AnswerError(error.into()))?;
        // The address is signed for no type at all.
        request.headers_mut().insert("content-length", body.len().to_string());
        let answer = aws.connector().call(request).await.map_err(|error| AnswerError(error.into()))?;
        let status = answer.status().as_u16();
        if (200..300).contains(&status) { Ok(()) } else { Err(AnswerError(format!("HTTP status {status}").into())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_and_a_batch_is_none() {
        let request = r#"{"RequestType":"Delete","ResponseURL":"https://x/","StackId":"s","RequestId":"r",
            "LogicalResourceId":"WhatIsStored","PhysicalResourceId":"p","ResourceType":"Custom::WhatIsStored"}"#;
        assert!(Request::of(request).is_some_and(|request| request.is_delete()));
        assert!(Request::of(&request.replacen('{', r#"{"awslogs":{"data":""},"#, 1)).is_none());
        assert!(Request::of(r#"{"awslogs":{"data":"ResponseURL"}}"#).is_none());
        assert!(Request::of(r#"{"ResponseURL":"https://x/"}"#).is_none());
    }
}
