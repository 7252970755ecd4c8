//! Documents against our own extract of the vendor's schema: what does not fit, and what does,
//! carried out.

use std::cell::RefCell;

use apollo_compiler::executable::ExecutableDocument;
use apollo_compiler::resolvers::{Execution, FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Schema, response::JsonValue};
use serde_json::{Value, json};

/// The extract.
pub struct Graph(pub Valid<Schema>);

/// What serves the fields at the root.
pub trait Root {
    /// One field with its arguments, whole; or an error of that field.
    fn field(&mut self, name: &str, args: &Value) -> Result<Value, String>;
}

impl Graph {
    /// Reads the extract.
    pub fn of_twingate() -> Self {
        Self(Schema::parse_and_validate(SCHEMA, "schema.graphql").unwrap())
    }

    /// Reads a document.
    pub fn read(&self, document: &str) -> Result<Valid<ExecutableDocument>, String> {
        ExecutableDocument::parse_and_validate(&self.0, document, "document.graphql")
            .map_err(|wrong| wrong.errors.to_string())
    }

    /// Carries a document out: the body of the answer, or why nothing was begun.
    pub fn execute(
        &self,
        document: &Valid<ExecutableDocument>,
        variables: &Value,
        root: &mut dyn Root,
    ) -> Result<Value, String> {
        let variables = if variables.is_null() { json!({}) } else { variables.clone() };
        let variables: JsonMap =
            serde_json::from_value(variables).map_err(|why| why.to_string())?;
        let operation = document.operations.get(None).map_err(|_| "no single operation")?;
        let kind = if operation.is_query() { "QueriesRoot" } else { "MutationsRoot" };
        let root = Rooted { kind, root: RefCell::new(root) };
        let done = Execution::new(&self.0, document).raw_variable_values(&variables);
        let mut done = done.execute_sync(&root).map_err(|why| why.message().to_string())?;
        for error in &mut done.errors {
            error.message = error.message.replacen("resolver error: ", "", 1);
        }
        Ok(serde_json::to_value(done).unwrap())
    }
}

struct Rooted<'r> {
    kind: &'static str,
    root: RefCell<&'r mut dyn Root>,
}

impl ObjectValue for Rooted<'_> {
    fn type_name(&self) -> &str {
        self.kind
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let args = serde_json::to_value(info.arguments()).unwrap();
        let found = self.root.borrow_mut().field(info.field_name(), &args);
        let found = found.map_err(|message| FieldError { message })?;
        Ok(resolved(found, &args))
    }
}

/// A thing with all its fields, and its type under `__typename`.
struct Thing(Value);

impl ObjectValue for Thing {
    fn type_name(&self) -> &str {
        self.0["__typename"].as_str().unwrap_or_default()
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let Some(value) = self.0.get(info.field_name()) else {
            return Err(self.unknown_field_error(info));
        };
        let args = serde_json::to_value(info.arguments()).unwrap();
        Ok(resolved(value.clone(), &args))
    }
}

fn resolved<'a>(value: Value, args: &Value) -> ResolvedValue<'a> {
    match value {
        Value::Array(list) => ResolvedValue::List(Box::new(
            list.into_iter().map(|one| Ok(resolved(one, &Value::Null))),
        )),
        Value::Object(_) if value["all"].is_array() => {
            ResolvedValue::Object(Box::new(Thing(page(&value, args))))
        }
        Value::Object(_) => ResolvedValue::Object(Box::new(Thing(value))),
        leaf => ResolvedValue::Leaf(JsonValue::from(leaf)),
    }
}

/// A list, of which each call gets a page.
pub fn connection(of: &str, edges: Vec<Value>) -> Value {
    let edges = edges.into_iter().map(|mut edge| {
        edge["__typename"] = json!(format!("{of}Edge"));
        edge
    });
    json!({ "__typename": format!("{of}Connection"), "all": edges.collect::<Vec<_>>() })
}

fn page(list: &Value, args: &Value) -> Value {
    let all = list["all"].as_array().unwrap();
    let begin = args["after"].as_str().and_then(|after| after.strip_prefix("at-"));
    let begin = begin.and_then(|at| at.parse::<usize>().ok()).unwrap_or(0).min(all.len());
    let first = args["first"].as_u64().map_or(PAGE, |first| usize::try_from(first).unwrap());
    let end = begin.saturating_add(first.min(PAGE)).min(all.len());
    let next = end < all.len();
    let info = json!({
        "__typename": "PageInfo", "hasNextPage": next,
        "endCursor": (end > begin).then(|| format!("at-{end}")),
    });
    json!({
        "__typename": list["__typename"], "totalCount": all.len(),
        "edges": all[begin..end], "pageInfo": info,
    })
}

const SCHEMA: &str = include_str!("../../twingate_interface/schema.graphql");

/// No page is longer.
const PAGE: usize = 100;
