//! What is run: a program that is allowed, and arguments with fields in them.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, bail};
use catchment_pipeline::alerts::Notification;
use catchment_pipeline::config::Section;

use crate::notify::fields::Fields;

/// Of one argument, in bytes.
const LONGEST: usize = 32 << 10;

#[derive(Clone, Debug)]
pub(super) struct Argv {
    program: Fields,
    allow: Vec<String>,
    arguments: Vec<Fields>,
}

impl Argv {
    pub fn read(section: &mut Section) -> Option<Argv> {
        let written: Vec<String> = section.or("command", Vec::new());
        let mut allow: Vec<String> = section.or("allow", Vec::new());
        let Some(program) = written.first() else {
            let mend = "add command: [/path/of/program, \"argument {{ .CommonLabels.host }}\"]";
            section.mistake(
                if section.has("command") { "command" } else { "" },
                "\"command\" is required: what is to be run",
                mend,
            );
            return None;
        };
        let parse = |text: &String| Fields::parse_or_mistake(section, "command", text);
        let fields: Vec<Fields> = written.iter().map(parse).collect::<Option<_>>()?;
        let (program, arguments) =
            (Fields::parse_or_mistake(section, "command", program)?, fields.into_iter().skip(1).collect());
        match program.constant() {
            Some(path) if !allow.is_empty() && !allow.iter().any(|allowed| allowed == path) => {
                section.mistake(
                    "allow",
                    format!("does not have the program, {path}"),
                    format!("add {path}, or leave allow out"),
                );
            }
            Some(path) if allow.is_empty() => allow.push(path.to_owned()),
            Some(_) => {}
            None if allow.is_empty() => {
                let what = "a field chooses the program, and nothing says which it may be";
                section.mistake("command", what, "add allow: [/path/of/program, ...]");
            }
            None => {}
        }
        for path in allow.iter().filter(|path| !path.starts_with('/') || path.split('/').any(|part| part == "..")) {
            let key = if section.has("allow") { "allow" } else { "command" };
            section.mistake(
                key,
                format!("{path:?} is not an absolute path"),
                "write the whole path of the program: /usr/local/bin/name",
            );
        }
        Some(Argv { program, allow, arguments })
    }

    pub fn programs(&self) -> &[String] {
        &self.allow
    }

    pub fn fill(&self, notification: &Notification) -> Result<(String, Vec<String>), String> {
        let program = filled(&self.program, notification)?;
        if !self.allow.contains(&program) {
            return Err(format!("{program:?} is not one of the programs in allow"));
        }
        let arguments = self.arguments.iter().map(|argument| {
            let text = filled(argument, notification)?;
            if argument.begins_with_a_field() && text.starts_with('-') {
                return Err(format!("{text:?} from a field would be an option: put text before the field"));
            }
            Ok(text)
        });
        Ok((program, arguments.collect::<Result<_, String>>()?))
    }
}

fn filled(fields: &Fields, notification: &Notification) -> Result<String, String> {
    match fields.fill(notification) {
        (_, Some(field)) => Err(format!("not run: the notification says nothing of {field}")),
        (text, _) if text.contains('\0') => Err("not run: a field has a zero byte in it".to_owned()),
        (text, _) if text.len() > LONGEST => Err(format!("not run: an argument is longer than {} KiB", LONGEST >> 10)),
        (text, None) => Ok(text),
    }
}

/// A program that not everybody can replace.
pub(super) fn check(path: &str) -> anyhow::Result<()> {
    let found = std::fs::metadata(path).with_context(|| format!("the program {path}"))?;
    if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
        bail!("{path} is not a program: make it executable");
    }
    if found.permissions().mode() & 0o002 != 0 {
        bail!("{path} can be changed by anybody: chmod o-w {path}");
    }
    Ok(())
}
