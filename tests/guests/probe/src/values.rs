//! SQL values as JSON and back, with their types: `{"u64": 18446744073709551615}`.

use hassock_guest::prelude::*;
use hassock_guest::sql::Rows;
use serde_json::{Value as Json, json};

pub fn from_json(values: Vec<Json>) -> Result<Vec<Value>> {
    values.into_iter().map(value).collect()
}

fn value(json: Json) -> Result<Value> {
    let Some((kind, inner)) = json.as_object().and_then(|object| object.iter().next()) else {
        return Ok(Value::Null);
    };
    let text = || inner.as_str().unwrap_or_default().to_owned();
    Ok(match kind.as_str() {
        "boolean" => Value::Boolean(inner == &json!(true)),
        "s64" => Value::S64(inner.as_i64().ok_or("no s64")?),
        "u64" => Value::U64(inner.as_u64().ok_or("no u64")?),
        "f64" => Value::F64(inner.as_f64().ok_or("no f64")?),
        "decimal" => Value::Decimal(text()),
        "text" => Value::Text(text()),
        "bytes" => Value::Bytes(serde_json::from_value(inner.clone())?),
        "date" => Value::Date(text()),
        "time" => Value::Time(text()),
        "datetime" => Value::Datetime(text()),
        "timestamp" => Value::Timestamp(text()),
        "json" => Value::Json(text()),
        other => return Err(format!("no type `{other}`").into()),
    })
}

pub fn to_json(rows: &Rows) -> Json {
    let rows: Vec<Vec<Json>> = rows.iter().map(|row| row.values().iter().map(typed).collect()).collect();
    json!(rows)
}

fn typed(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
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
    }
}

/// An error as `{"error": text}`, and for one of a database its case as well: `"sql": "denied"`.
pub fn error(error: &Error) -> Json {
    match error {
        Error::Sql(sql) => json!({ "error": error.to_string(), "sql": case(sql) }),
        other => json!({ "error": other.to_string() }),
    }
}

fn case(error: &sql::Error) -> &'static str {
    match error {
        sql::Error::Denied(_) => "denied",
        sql::Error::UnknownDatabase(_) => "unknown-database",
        sql::Error::Timeout => "timeout",
        sql::Error::PoolExhausted => "pool-exhausted",
        sql::Error::Constraint(_) => "constraint",
        sql::Error::Syntax(_) => "syntax",
        sql::Error::TooLarge(_) => "too-large",
        sql::Error::ConnectionLost(_) => "connection-lost",
        sql::Error::Other(_) => "other",
    }
}
