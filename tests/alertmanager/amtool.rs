//! `amtool` against us.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::sink::Sink;
use crate::{catchment, notifications, peers, told};

struct Amtool<'a> {
    program: &'a Path,
    url: String,
}

impl Amtool<'_> {
    fn run(&self, args: &str) -> String {
        let url = format!("--alertmanager.url={}", self.url);
        let output = Command::new(self.program).arg(url).args(args.split(' ')).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "amtool {args}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    fn names(&self, args: &str) -> Vec<String> {
        let alerts: Value = serde_json::from_str(&self.run(args)).unwrap();
        let mut names: Vec<_> = alerts
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn amtool_lists_and_silences() {
    let Some((_, program)) = peers::alertmanager() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut sink = Sink::start().await;
    let settings = "{ route: { group_by: [alertname], group_wait: 0s, routes: [{ matchers: ['severity=\"page\"'], receiver: oncall }] }, receivers: [{ name: oncall }] }";
    let catchment = catchment(folder.path(), &sink, settings);
    let amtool = Amtool { program: &program, url: catchment.url("dashboard") };

    amtool.run("alert add DiskFull node=a severity=page --annotation=summary=full");
    let first = notifications(&mut sink).await;
    assert_eq!(first.len(), 1);
    let (receiver, key, status, _) = told(&first[0]);
    assert_eq!(
        (receiver.as_str(), key.as_str(), status.as_str()),
        ("oncall", r#"{}/{severity="page"}:{alertname="DiskFull"}"#, "firing")
    );
    amtool.run("alert add Noise node=b");
    assert_eq!(told(&notifications(&mut sink).await[0]).0, "default");
    assert_eq!(amtool.names("alert query -o json"), ["DiskFull", "Noise"]);
    assert_eq!(amtool.names("alert query -o json node=~a|x"), ["DiskFull"]);
    assert_eq!(amtool.names("alert query -o json --receiver=oncall"), ["DiskFull"]);

    let id = amtool.run("silence add alertname=Noise --author=ann --comment=known --duration=1h");
    assert_eq!(amtool.run("silence query -q"), id);
    assert_eq!(amtool.run("silence query -q node=b"), "");
    assert_eq!(amtool.names("alert query -o json"), ["DiskFull"], "without what is silenced");
    assert_eq!(amtool.names("alert query -o json --silenced"), ["Noise"]);
    let silences: Value = serde_json::from_str(&amtool.run("silence query -o json")).unwrap();
    assert_eq!((&silences[0]["createdBy"], &silences[0]["status"]["state"]), (&"ann".into(), &"active".into()));
    let updated: Value =
        serde_json::from_str(&amtool.run(&format!("silence update {id} -o json --duration=2h"))).unwrap();
    assert_eq!(updated[0]["id"].as_str().unwrap(), id, "a later end keeps the id");
    amtool.run(&format!("silence expire {id}"));
    assert_eq!(amtool.run("silence query -q"), "");
    assert_eq!(amtool.run("silence query -q --expired"), id);
    assert_eq!(amtool.names("alert query -o json"), ["DiskFull", "Noise"]);

    assert_eq!(amtool.run("config routes test severity=page"), "oncall");
    assert_eq!(amtool.run("config routes test severity=warn"), "default");
    assert!(amtool.run("config show").contains("group_wait"));
}
