//! `catchment rules`: rule files checked and tested, as promtool does it and with its words.

use catchment_processors::alerting::unit;

use crate::cli::{Exit, RulesCommand, complain, say};

pub fn run(command: &RulesCommand) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    match command {
        RulesCommand::Check { files } => {
            for file in files {
                say(&format!("Checking {}\n", file.display()))?;
                let checked = unit::check(file);
                if checked.mistakes.is_empty() {
                    say(&format!("  SUCCESS: {} rules found\n\n", checked.rules))?;
                } else {
                    complain(&format!("  FAILED:\n{}\n", checked.mistakes.join("\n")));
                    exit = Exit::Failed;
                }
            }
        }
        RulesCommand::Test { files } => {
            let runtime = tokio::runtime::Runtime::new()?;
            for file in files {
                say(&format!("Unit Testing:  {}\n", file.display()))?;
                let failures = match runtime.block_on(unit::test(file)) {
                    Ok(failures) => failures,
                    Err(error) => vec![format!("{error:#}")],
                };
                if failures.is_empty() {
                    say("  SUCCESS\n\n")?;
                } else {
                    complain(&format!("  FAILED:\n{}\n", failures.join("\n")));
                    exit = Exit::Failed;
                }
            }
        }
    }
    Ok(exit)
}
