//! SQL values as JSON and back, with their types: `{"u64": 18446744073709551615}`.

use hassock_sdk::prelude::*;
use serde_json::{Value as Any, json};

pub fn from_json(values: Vec<Any>) -> Result<Vec<Value>> {
    values.into_iter().map(value).collect()
}

fn value(json: Any) -> Result<Value> {
    let Some((kind, inner)) = json.as_object().and_then(|object| object.iter().next()) else {
        return Ok(Value::Null);
    };
    let text = || inner.as_str().unwrap_or_default().to_owned();
    Ok(match kind.as_str() {
        "boolean" => Value::Boolean(inner == &json!(true)),
        "s64" => Value::S64(inner.as_i64().context("no s64")?),
        "u64" => Value::U64(inner.as_u64().context("no u64")?),
        "f64" => Value::F64(inner.as_f64().context("no f64")?),
        "decimal" => Value::Decimal(text()),
        "text" => Value::Text(text()),
        "bytes" => Value::Bytes(serde_json::from_value(inner.clone())?),
        "date" => Value::Date(text()),
        "time" => Value::Time(text()),
        "datetime" => Value::Datetime(text()),
        "timestamp" => Value::Timestamp(text()),
        "json" => Value::Json(text()),
        other => bail!("no type `{other}`"),
    })
}

pub fn to_json(rows: &Rows) -> Any {
    let rows: Vec<Vec<Any>> = rows.iter().map(|row| row.values().iter().map(typed).collect()).collect();
    json!(rows)
}

fn typed(value: &Value) -> Any {
    match value {
        Value::Null => Any::Null,
        Value::Boolean(inner) => json!({ "boolean": inner }),
        Value::S64(inner) => json!({ "s64": inner }),
        Value::U64(inner) => json!({ "u64": inner }),
        Value::F64(inner) => json!({ "f64": inner }),
        Value::Decimal(inner) => json!({ "decimal": inner }),
        Value::Text(inner) => json!({ "text": inner }),
        Value::Bytes(inner) => json!({ "bytes": inner }),
        Value::Date(inner) => json!({ "date": inner }),
        Value::Time(inner) => json!({ "time": inner }),
        Value::Datetime(inner) => json!({ "datetime": inner }),
        Value::Timestamp(inner) => json!({ "timestamp": inner }),
        Value::Json(inner) => json!({ "json": inner }),
        other => json!({ "other": format!("{other:?}") }),
    }
}

/// An error as `{"error": text}`, and an error of a database also with its case: `"sql": "denied"`.
pub fn error(error: &Error) -> Any {
    match error.downcast_ref() {
        Some(sql) => json!({ "error": error.to_string(), "sql": case(sql) }),
        None => json!({ "error": error.to_string() }),
    }
}

fn case(error: &SqlError) -> &'static str {
    match error {
        SqlError::Denied(_) => "denied",
        SqlError::UnknownDatabase(_) => "unknown-database",
        SqlError::Timeout => "timeout",
        SqlError::PoolExhausted => "pool-exhausted",
        SqlError::Constraint(_) => "constraint",
        SqlError::Syntax(_) => "syntax",
        SqlError::TooLarge(_) => "too-large",
        SqlError::ConnectionLost(_) => "connection-lost",
        _ => "other",
    }
}
