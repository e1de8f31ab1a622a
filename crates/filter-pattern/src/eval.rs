//! Whether an event satisfies an expression.

use super::ast::{Condition, Expr, Number, Operand, Order, Test, Text};
use super::number::Decimal;
use crate::json::Json;

impl Expr {
    /// Whether `event`, an object, satisfies the expression.
    pub(super) fn holds(&self, event: &Json<'_>) -> bool {
        match self {
            Self::Or(members) => members.iter().any(|member| member.holds(event)),
            Self::And(members) => members.iter().all(|member| member.holds(event)),
            Self::Condition(condition) => condition.holds(event),
        }
    }
}

impl Condition {
    /// Whether `event`, an object, satisfies the condition. Each condition searches on its own: two with `[*]` may find
    /// different elements.
    pub(super) fn holds(&self, event: &Json<'_>) -> bool {
        match &self.test {
            Test::NotExists => !self.selector.any(event, |_| true),
            test => self.selector.any(event, |value| test.holds(value)),
        }
    }
}

impl Test {
    /// The answer for one value that exists.
    fn holds(&self, value: &Json<'_>) -> bool {
        match self {
            Self::Equal(operand) => operand.equals(value) == Some(true),
            Self::Unequal(operand) => operand.equals(value) == Some(false),
            Self::Order(order, number) => match value {
                Json::Number(text) => order.holds(text, number),
                Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => false,
            },
            Self::IsNull => match value {
                Json::Null => true,
                Json::Array(items) => items.contains(&Json::Null),
                Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => false,
            },
            Self::IsTrue => *value == Json::Bool(true),
            Self::IsFalse => *value == Json::Bool(false),
            Self::NotExists => false,
        }
    }
}

impl Operand {
    /// Whether the value is the one meant; `None` if it is of a kind that nothing is compared with, so that both `=`
    /// and `!=` are false.
    fn equals(&self, value: &Json<'_>) -> Option<bool> {
        match (self, value) {
            (_, Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_)) => None,
            (Self::Number(number), Json::Number(text)) => {
                // Equal texts are the common case, and have equal values.
                Some(number.text == *text || Decimal::from_json(text).as_ref() == Some(&number.value))
            }
            (Self::Number(number), Json::String(text)) => Some(number.text == *text),
            (Self::Text(Text { glob, .. }), Json::String(text) | Json::Number(text)) => Some(glob.matches(text)),
            (Self::Regex(regex), Json::String(text) | Json::Number(text)) => Some(regex.is_match(text)),
        }
    }
}

impl Order {
    /// Whether `text`, a JSON number, stands in this order to `number`.
    fn holds(self, text: &str, number: &Number) -> bool {
        let Some(value) = Decimal::from_json(text) else { return false };
        match self {
            Self::Less => value < number.value,
            Self::LessOrEqual => value <= number.value,
            Self::Greater => value > number.value,
            Self::GreaterOrEqual => value >= number.value,
        }
    }
}
