//! What of the extract documents use.

use std::collections::BTreeSet;

use apollo_compiler::Schema;
use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;

use super::graph::Graph;

/// Names of what is used or defined: `Type`, `Type.field`, `Type.field(argument)`, `Enum.VALUE`.
type Names = BTreeSet<String>;

/// All that the extract defines and none of these documents uses. An enum that is only read is used
/// whole.
pub fn unused(graph: &Graph, documents: &[&str]) -> Vec<String> {
    let mut used = Names::new();
    for document in documents {
        let document = graph.read(document).unwrap();
        for operation in document.operations.iter() {
            for variable in &operation.variables {
                mark_type(&graph.0, &variable.ty, &mut used);
            }
            mark(&graph.0, &operation.selection_set, &mut used);
        }
    }
    defined(&graph.0).difference(&used).cloned().collect()
}

fn defined(schema: &Schema) -> Names {
    let own = schema.types.iter().filter(|(_, ty)| !ty.is_built_in());
    let mut names = Names::new();
    for (name, ty) in own {
        names.insert(name.to_string());
        let fields = match ty {
            ExtendedType::Object(object) => &object.fields,
            ExtendedType::Interface(interface) => &interface.fields,
            ExtendedType::InputObject(input) => {
                names.extend(input.fields.keys().map(|field| format!("{name}.{field}")));
                continue;
            }
            ExtendedType::Enum(words) => {
                names.extend(words.values.keys().map(|word| format!("{name}.{word}")));
                continue;
            }
            _ => continue,
        };
        for (field, definition) in fields {
            names.insert(format!("{name}.{field}"));
            let arguments = definition.arguments.iter();
            names.extend(arguments.map(|it| format!("{name}.{field}({})", it.name)));
        }
    }
    names
}

fn mark(schema: &Schema, set: &SelectionSet, used: &mut Names) {
    used.insert(set.ty.to_string());
    for selection in &set.selections {
        let field = match selection {
            Selection::Field(field) => field,
            Selection::InlineFragment(fragment) => {
                mark(schema, &fragment.selection_set, used);
                continue;
            }
            Selection::FragmentSpread(spread) => panic!("`{}` is spread", spread.fragment_name),
        };
        let mut holders = vec![set.ty.clone()];
        let implements = |ty: &ExtendedType| {
            ty.as_object().is_some_and(|it| it.implements_interfaces.contains(&set.ty))
        };
        let implementers = schema.types.iter().filter(|(_, ty)| implements(ty));
        holders.extend(implementers.map(|(name, _)| name.clone()));
        for holder in &holders {
            used.insert(holder.to_string());
            used.insert(format!("{holder}.{}", field.name));
            for argument in &field.arguments {
                used.insert(format!("{holder}.{}({})", field.name, argument.name));
            }
        }
        for argument in &field.arguments {
            if let Some(definition) = field.definition.argument_by_name(&argument.name) {
                mark_value(schema, &definition.ty, &argument.value, used);
            }
        }
        mark_type(schema, &field.definition.ty, used);
        mark(schema, &field.selection_set, used);
    }
}

fn mark_type(schema: &Schema, ty: &Type, used: &mut Names) {
    let name = ty.inner_named_type();
    used.insert(name.to_string());
    if let Some(ExtendedType::Enum(words)) = schema.types.get(name) {
        used.extend(words.values.keys().map(|word| format!("{name}.{word}")));
    }
}

fn mark_value(schema: &Schema, ty: &Type, value: &Value, used: &mut Names) {
    let name = ty.inner_named_type();
    used.insert(name.to_string());
    match value {
        Value::Enum(word) => {
            used.insert(format!("{name}.{word}"));
        }
        Value::List(list) => {
            list.iter().for_each(|value| mark_value(schema, ty, value, used));
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                used.insert(format!("{name}.{field}"));
                if let Some(definition) =
                    schema.get_input_object(name).and_then(|input| input.fields.get(field))
                {
                    mark_value(schema, &definition.ty, value, used);
                }
            }
        }
        _ => {}
    }
}
