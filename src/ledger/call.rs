//! Calls of DynamoDB: a condition that is lost is an answer, and what got in each other's way is tried again.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem,
};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use thiserror::Error;
use tokio::time::sleep;

use super::AT_ONCE;
use super::item::{Item, text};

/// How often a call is made anew that another one was in the way of.
const CONFLICTS: u32 = 5;

/// How long it waits the first time.
const CONFLICT_PAUSE: Duration = Duration::from_millis(15);

/// The most items that one call reads, and that one writes. Source: DynamoDB API Reference, `BatchGetItem` and
/// `TransactWriteItems`.
const READ_MAX: usize = 100;
pub(super) const WRITE_MAX: usize = 100;

/// Why the ledger can't be asked.
#[derive(Debug, Error)]
#[error("DynamoDB did not {what}; {advice}")]
pub struct LedgerError {
    what: &'static str,
    advice: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl LedgerError {
    fn of<E: Error + ProvideErrorMetadata + Send + Sync + 'static>(
        what: &'static str,
    ) -> impl FnOnce(SdkError<E>) -> Self {
        move |error| Self { what, advice: advice(error.code()), source: Box::new(error) }
    }

    pub(super) fn json(error: serde_json::Error) -> Self {
        Self { what: "get what was told", advice: "it could not be written as JSON", source: Box::new(error) }
    }
}

/// What to do about an error, by its code. Source: DynamoDB Developer Guide, "Error handling with DynamoDB".
fn advice(code: Option<&str>) -> &'static str {
    match code {
        Some("AccessDeniedException") => {
            "the function's role needs the permissions of the statement KeepIncidents, and the table's policy may deny \
             them to nobody but others"
        }
        Some("ResourceNotFoundException") => "there is no such table: deploy the stack again",
        Some("ProvisionedThroughputExceededException" | "RequestLimitExceeded" | "ThrottlingException") => {
            "it was asked too much"
        }
        _ => "it is asked again in a minute",
    }
}

/// A condition, with its values and those of the change that depends on it.
#[derive(Clone)]
pub struct Condition {
    text: Cow<'static, str>,
    values: Item,
}

pub fn conditional(text: impl Into<Cow<'static, str>>) -> Condition {
    Condition { text: text.into(), values: Item::new() }
}

/// That an item has these attributes just as it was found with, of whatever kind they are, and lacks what it lacked.
pub fn as_found(found: &Item, attributes: &[&str]) -> Condition {
    let mut condition = conditional("attribute_exists(pk)");
    for name in attributes {
        let one = match found.get(*name) {
            Some(value) => {
                condition.values.insert(format!(":found_{name}"), value.clone());
                format!(" AND {name} = :found_{name}")
            }
            None => format!(" AND attribute_not_exists({name})"),
        };
        condition.text.to_mut().push_str(&one);
    }
    condition
}

impl Condition {
    /// And this.
    pub fn and(mut self, text: &str) -> Self {
        self.text.to_mut().push_str(text);
        self
    }

    pub fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    /// Its text and its values.
    #[cfg(test)]
    pub fn parts(&self) -> (&str, &Item) {
        (&self.text, &self.values)
    }

    fn values(&self) -> Option<Item> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

/// A write of a transaction, which [`Call::transact`] gives its table.
#[derive(Clone)]
pub enum Write {
    Check(Item, Condition),
    Put(Item, Option<Condition>),
    Delete(Item, Option<Condition>),
}

pub fn check(key: Item, condition: Condition) -> Write {
    Write::Check(key, condition)
}

pub fn put(item: Item, condition: Option<Condition>) -> Write {
    Write::Put(item, condition)
}

pub fn delete(key: Item, condition: Option<Condition>) -> Write {
    Write::Delete(key, condition)
}

/// Which conditions of a transaction were lost, and what stood in the way of each item.
pub struct Lost {
    pub which: Vec<usize>,
    pub items: Vec<Option<Item>>,
}

/// What calls are made with.
pub struct Call<'t> {
    pub client: &'t Client,
    pub table: &'t str,
}

/// A call, made anew while `is_conflict` says that another one was in its way.
async fn anew<T, E, F: Future<Output = Result<T, E>>>(
    make: impl Fn() -> F,
    is_conflict: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut pause = CONFLICT_PAUSE;
    for _ in 0..CONFLICTS {
        match make().await {
            Err(error) if is_conflict(&error) => sleep(pause).await,
            answer => return answer,
        }
        pause *= 2;
    }
    make().await
}

fn in_the_way<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("TransactionConflictException")
}

impl Call<'_> {
    /// One item, by the call that reads many: each kind of call makes the package larger.
    pub async fn get(&self, key: Item) -> Result<Option<Item>, LedgerError> {
        Ok(self.get_many(vec![key], "").await?.pop())
    }

    /// Items by their names, as far as they are there: these attributes, or all of them.
    pub async fn get_many(&self, keys: Vec<Item>, attributes: &str) -> Result<Vec<Item>, LedgerError> {
        let batches: Vec<Vec<Item>> = keys.chunks(READ_MAX).map(<[Item]>::to_vec).collect();
        let read = stream::iter(batches).map(|batch| self.get_batch(batch, attributes)).buffer_unordered(AT_ONCE);
        let read: Vec<Vec<Item>> = read.try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn get_batch(&self, mut keys: Vec<Item>, attributes: &str) -> Result<Vec<Item>, LedgerError> {
        let mut found = Vec::new();
        let mut pause = CONFLICT_PAUSE;
        // Whoever calls this waits only so long.
        while !keys.is_empty() {
            // By other names, for `call` is a reserved word.
            let names: Vec<&str> = attributes.split(", ").filter(|name| !name.is_empty()).collect();
            let wanted = names.iter().map(|name| format!("#{name}")).collect::<Vec<_>>().join(", ");
            let names = names.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect();
            let all = attributes.is_empty();
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .set_projection_expression((!all).then_some(wanted))
                .set_expression_attribute_names((!all).then_some(names))
                .build()
                .map_err(built)?;
            let read = self.client.batch_get_item().request_items(self.table, wanted).send().await;
            let read = read.map_err(LedgerError::of("read items"))?;
            found.extend(read.responses.into_iter().flatten().flat_map(|(_, items)| items));
            let left = read.unprocessed_keys.into_iter().flatten().flat_map(|(_, keys)| keys.keys);
            keys = left.collect();
            if !keys.is_empty() {
                sleep(pause).await;
                pause *= 2;
            }
        }
        Ok(found)
    }

    /// Puts items, many at a time.
    pub async fn put_many(&self, items: Vec<Item>) -> Result<(), LedgerError> {
        let batches: Vec<Vec<Write>> =
            items.chunks(WRITE_MAX).map(|items| items.iter().map(|item| put(item.clone(), None)).collect()).collect();
        // There is no condition that could be lost.
        let written = stream::iter(batches).map(|batch| self.transact(batch)).buffer_unordered(AT_ONCE);
        written.try_for_each(|_| async { Ok(()) }).await
    }

    /// The items of one name whose second name begins so, in its order.
    pub async fn query(&self, pk: &str, prefix: &str) -> Result<Vec<Item>, LedgerError> {
        let query = self.client.query().table_name(self.table).consistent_read(true);
        let query = query.expression_attribute_values(":pk", text(pk));
        let query = if prefix.is_empty() {
            query.key_condition_expression("pk = :pk")
        } else {
            query
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(prefix))
        };
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let page = query.clone().set_exclusive_start_key(from).send().await;
            let page = page.map_err(LedgerError::of("list items"))?;
            items.extend(page.items.into_iter().flatten());
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(items);
            }
        }
    }

    /// The last items of one name whose second name begins so, in its order: so many at most, and no more pages than that,
    /// each of which has 1 MB.
    pub async fn newest(&self, pk: &str, prefix: &str, most: usize, pages: usize) -> Result<Vec<Item>, LedgerError> {
        let query = self.client.query().table_name(self.table).consistent_read(true).scan_index_forward(false);
        let query = query
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":prefix", text(prefix))
            .limit(i32::try_from(most).unwrap_or(i32::MAX));
        let (mut items, mut from) = (Vec::new(), None);
        for _ in 0..pages {
            let page = query.clone().set_exclusive_start_key(from).send().await;
            let page = page.map_err(LedgerError::of("list items"))?;
            items.extend(page.items.into_iter().flatten());
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() || items.len() >= most {
                break;
            }
        }
        items.truncate(most);
        items.reverse();
        Ok(items)
    }

    /// Puts an item; whether its condition held.
    pub async fn put(&self, item: Item, condition: Condition) -> Result<bool, LedgerError> {
        Ok(self.put_or_old(item, condition).await?.is_ok())
    }

    /// Puts an item, or says what is in its place.
    pub async fn put_or_old(&self, item: Item, condition: Condition) -> Result<Result<(), Option<Item>>, LedgerError> {
        let put = self
            .client
            .put_item()
            .table_name(self.table)
            .set_item(Some(item))
            .condition_expression(condition.text.clone())
            .set_expression_attribute_values(condition.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match anew(|| put.clone().send(), in_the_way).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(lost)) => Ok(Err(lost.item.clone())),
                _ => Err(LedgerError::of("write an item")(error)),
            },
        }
    }

    /// Changes an item, or says what is in its place.
    pub async fn update(
        &self,
        key: Item,
        set: &str,
        condition: Option<Condition>,
        returned: ReturnValue,
    ) -> Result<Result<Item, Option<Item>>, LedgerError> {
        let mut update = self
            .client
            .update_item()
            .table_name(self.table)
            .set_key(Some(key))
            .update_expression(set)
            .return_values(returned);
        if let Some(condition) = condition {
            update = update
                .set_condition_expression((!condition.text.is_empty()).then(|| condition.text.clone().into_owned()))
                .set_return_values_on_condition_check_failure(
                    (!condition.text.is_empty()).then_some(ReturnValuesOnConditionCheckFailure::AllOld),
                )
                .set_expression_attribute_values(condition.values());
        }
        match anew(|| update.clone().send(), in_the_way).await {
            Ok(updated) => Ok(Ok(updated.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(lost)) => Ok(Err(lost.item.clone())),
                _ => Err(LedgerError::of("change an item")(error)),
            },
        }
    }

    /// All of these writes, or none of them.
    pub async fn transact(&self, writes: Vec<Write>) -> Result<Result<(), Lost>, LedgerError> {
        let items = writes.into_iter().map(|write| self.write(write)).collect::<Result<Vec<_>, _>>()?;
        let transact = self.client.transact_write_items().set_transact_items(Some(items));
        let conflicts = |error: &SdkError<TransactWriteItemsError>| match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                let codes: Vec<&str> =
                    canceled.cancellation_reasons().iter().filter_map(|reason| reason.code()).collect();
                codes.contains(&"TransactionConflict") && !codes.contains(&"ConditionalCheckFailed")
            }
            _ => false,
        };
        let Err(error) = anew(|| transact.clone().send(), conflicts).await else { return Ok(Ok(())) };
        if let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() {
            let reasons = canceled.cancellation_reasons();
            let lost = |(index, code): (usize, Option<&str>)| (code == Some("ConditionalCheckFailed")).then_some(index);
            let which: Vec<usize> = reasons.iter().map(|reason| reason.code()).enumerate().filter_map(lost).collect();
            if !which.is_empty() {
                let items = reasons.iter().map(|reason| reason.item.clone().filter(|item| !item.is_empty())).collect();
                return Ok(Err(Lost { which, items }));
            }
        }
        Err(LedgerError::of("write items together")(error))
    }

    fn write(&self, write: Write) -> Result<TransactWriteItem, LedgerError> {
        let item = TransactWriteItem::builder();
        let parts = |condition: Option<Condition>| match condition {
            Some(condition) => {
                let old = ReturnValuesOnConditionCheckFailure::AllOld;
                (Some(condition.text.clone().into_owned()), condition.values(), Some(old))
            }
            None => (None, None, None),
        };
        Ok(match write {
            Write::Check(key, condition) => item.condition_check(
                ConditionCheck::builder()
                    .table_name(self.table)
                    .set_key(Some(key))
                    .condition_expression(condition.text.clone())
                    .set_expression_attribute_values(condition.values())
                    .build()
                    .map_err(built)?,
            ),
            Write::Put(new, condition) => {
                let (condition, values, old) = parts(condition);
                item.put(
                    Put::builder()
                        .table_name(self.table)
                        .set_item(Some(new))
                        .set_condition_expression(condition)
                        .set_expression_attribute_values(values)
                        .set_return_values_on_condition_check_failure(old)
                        .build()
                        .map_err(built)?,
                )
            }
            Write::Delete(key, condition) => {
                let (condition, values, old) = parts(condition);
                item.delete(
                    Delete::builder()
                        .table_name(self.table)
                        .set_key(Some(key))
                        .set_condition_expression(condition)
                        .set_expression_attribute_values(values)
                        .set_return_values_on_condition_check_failure(old)
                        .build()
                        .map_err(built)?,
                )
            }
        }
        .build())
    }
}

/// A request that lacks something.
fn built(error: aws_sdk_dynamodb::error::BuildError) -> LedgerError {
    LedgerError { what: "get the request", advice: "it could not be made", source: Box::new(error) }
}
