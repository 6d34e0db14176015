//! The committed text `proto/snapshot.txt` says what the wire looks like; a change of the wire shows as a change of it.
//! `UPDATE_SNAPSHOT=1 cargo test -p loglake-api --test snapshot` writes it anew.

#![allow(clippy::unwrap_used, reason = "test")]

use std::fmt::Write as _;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/snapshot.txt");

fn field_type(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum | Type::Group => field.type_name().trim_start_matches('.').to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    }
}

fn render_message(out: &mut String, prefix: &str, message: &DescriptorProto) {
    let name = format!("{prefix}.{}", message.name());
    writeln!(out, "message {name}").unwrap();
    for field in &message.field {
        let label = if field.label() == Label::Repeated { "repeated " } else { "" };
        write!(out, "  {} {label}{} {}", field.number(), field_type(field), field.name()).unwrap();
        match field.oneof_index {
            Some(at) => writeln!(out, " (one of {})", message.oneof_decl[at as usize].name()).unwrap(),
            None => out.push('\n'),
        }
    }
    for inner in &message.nested_type {
        render_message(out, &name, inner);
    }
    for inner in &message.enum_type {
        render_enum(out, &name, inner);
    }
}

fn render_enum(out: &mut String, prefix: &str, values: &EnumDescriptorProto) {
    writeln!(out, "enum {prefix}.{}", values.name()).unwrap();
    for value in &values.value {
        writeln!(out, "  {} {}", value.number(), value.name()).unwrap();
    }
}

fn render(set: &FileDescriptorSet) -> String {
    let mut out = String::from("# Rendered from the descriptors by the test `snapshot`; do not edit.\n");
    for file in &set.file {
        writeln!(out, "\nfile {} ({})", file.name(), file.syntax()).unwrap();
        for service in &file.service {
            writeln!(out, "service {}.{}", file.package(), service.name()).unwrap();
            for method in &service.method {
                let stream = |is_stream| if is_stream { "stream " } else { "" };
                let input = method.input_type().trim_start_matches('.');
                let output = method.output_type().trim_start_matches('.');
                let (from, to) = (stream(method.client_streaming()), stream(method.server_streaming()));
                writeln!(out, "  {}({from}{input}) returns ({to}{output})", method.name()).unwrap();
            }
        }
        for message in &file.message_type {
            render_message(&mut out, file.package(), message);
        }
        for values in &file.enum_type {
            render_enum(&mut out, file.package(), values);
        }
    }
    out
}

#[test]
fn the_snapshot_is_what_the_wire_looks_like() {
    let set = FileDescriptorSet::decode(loglake_api::ALL_DESCRIPTORS).unwrap();
    let rendered = render(&set);
    if std::env::var_os("UPDATE_SNAPSHOT").is_some() {
        std::fs::write(PATH, &rendered).unwrap();
    }
    let committed = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(committed == rendered, "the wire changed; UPDATE_SNAPSHOT=1 writes api/proto/snapshot.txt:\n{rendered}");
}

#[test]
fn reflection_shows_clients_nothing_internal() {
    let set = FileDescriptorSet::decode(loglake_api::FILE_DESCRIPTOR_SET).unwrap();
    let packages: Vec<&str> = set.file.iter().map(|file| file.package()).collect();
    assert_eq!(packages, ["loglake.ingest.v1"]);
}
