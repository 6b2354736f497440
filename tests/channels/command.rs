//! The command hook: what reaches the program, and what never does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{channel, given, permanent, plan, plan_or_mistakes, tell, transient};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, script: &str) -> PathBuf {
        let path = self.path("program");
        std::fs::write(&path, format!("#!/bin/sh\ncd {}\n{script}\n", self.0.path().display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path(name)).ok()
    }
}

fn yaml(program: &Path, more: &str) -> String {
    format!("{{ command: ['{}', '--host', '{{{{ .CommonLabels.host }}}}'], cool_down: 0s {more} }}", program.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_environment_and_input_arrive_as_they_are() {
    let place = Place::new();
    let program = place.program(r#"printf '%s\n' "$#" "$@" > arguments; /usr/bin/env > environment; cat > input"#);
    let more = ", environment: { REGION: eu }, inherit: [PATH, CATCHMENT_NOT_SET]";
    let command = channel("command", &yaml(&program, more)).await;
    let mut notification = given::notification("n1");
    notification.common_labels.set("host", "a; touch /tmp/x $(id) `id` 'q' \"q\" *\nline");
    tell(&command, &notification).await.unwrap();
    assert_eq!(place.read("arguments").unwrap(), "2\n--host\na; touch /tmp/x $(id) `id` 'q' \"q\" *\nline\n");
    let environment = place.read("environment").unwrap();
    let mut names: Vec<_> = environment.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // What the shell of the test's own program adds.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["CATCHMENT_NOTIFICATION_ID", "PATH", "REGION"]);
    let input: serde_json::Value = serde_json::from_str(&place.read("input").unwrap()).unwrap();
    assert_eq!((&input["id"], &input["version"]), (&"n1".into(), &"4".into()));
    // What is resolved is nothing to mend.
    std::fs::remove_file(place.path("input")).unwrap();
    tell(&command, &given::resolved("n2")).await.unwrap();
    assert_eq!(place.read("input"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_run() {
    let place = Place::new();
    let program = place.program("touch ran");
    let command = channel("command", &yaml(&program, "")).await;
    let mut notification = given::notification("n1");
    assert!(permanent(tell(&command, &notification).await).contains("says nothing of CommonLabels.host"));
    for (host, why) in [("--rm", "would be an option"), ("a\0b", "zero byte")] {
        notification.common_labels.set("host", host);
        assert!(permanent(tell(&command, &notification).await).contains(why), "{host:?}");
    }
    notification.common_labels.set("host", "a");
    let dry = channel("command", &yaml(&program, ", dry_run: true")).await;
    tell(&dry, &notification).await.unwrap();

    // A field chooses among what is allowed.
    let chosen =
        format!("{{ command: ['{{{{ .CommonLabels.fix }}}}'], allow: ['{}'], cool_down: 0s }}", program.display());
    let chosen = channel("command", &chosen).await;
    notification.common_labels.set("fix", "/bin/rm");
    assert!(permanent(tell(&chosen, &notification).await).contains("not one of the programs in allow"));
    assert_eq!(place.read("ran"), None);
    notification.common_labels.set("fix", program.to_str().unwrap());
    tell(&chosen, &notification).await.unwrap();
    assert!(place.read("ran").is_some());

    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(permanent(tell(&command, &notification).await).contains("can be changed by anybody"));
    let context = catchment_pipeline::component::Context::default;
    let built = plan("command", &yaml(&program, "")).build(context()).await;
    assert!(format!("{:#}", built.err().unwrap()).contains("can be changed by anybody"));
    let built = plan("command", "{ command: [/no/such/program] }").build(context()).await;
    assert!(format!("{:#}", built.err().unwrap()).contains("/no/such/program"));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_it_ends() {
    let place = Place::new();
    let mut notification = given::notification("n1");
    notification.common_labels.set("host", "a");
    let program = place.program("echo trouble >&2; exit 3");
    let command = channel("command", &yaml(&program, "")).await;
    let reason = permanent(tell(&command, &notification).await);
    assert!(reason.contains("exit status: 3") && reason.contains("trouble"), "{reason}");

    place.program("exit 75");
    transient(tell(&command, &notification).await);

    // Output without an end, and input that nobody reads.
    place.program("yes | head -c 1000000; exec 0<&-; exit 4");
    notification.common_labels.set("big", "x".repeat(1_000_000));
    assert!(permanent(tell(&command, &notification).await).len() < 2_000);
    notification.common_labels.remove("big");

    // Killed with what it started.
    place.program("(sleep 600; touch late) & echo $! > child; sleep 600");
    let slow = channel("command", &yaml(&program, ", timeout: 1s")).await;
    let began = Instant::now();
    assert!(permanent(tell(&slow, &notification).await).contains("killed"));
    assert!(began.elapsed() < Duration::from_secs(60));
    let child = place.read("child").unwrap();
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        stat.map_or(true, |stat| stat.contains(") Z "))
    };
    while !gone() {
        assert!(began.elapsed() < Duration::from_secs(60), "its child runs on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_cools_down_by_the_times_of_its_notifications() {
    let place = Place::new();
    let program = place.program("echo x >> ran");
    let yaml = format!("{{ command: ['{}'], cool_down: 5m }}", program.display());
    let command = channel("command", &yaml).await;
    let minutes = |n: i64, group: &str| {
        let mut notification = given::notification(&format!("{group}{n}"));
        notification.at += n * 60_000_000_000;
        notification.group_key = group.to_owned();
        notification
    };
    for (minute, group, ran) in [(0, "a", 1), (3, "a", 1), (3, "b", 2), (5, "a", 3), (9, "a", 3), (10, "a", 4)] {
        tell(&command, &minutes(minute, group)).await.unwrap();
        assert_eq!(place.read("ran").unwrap().lines().count(), ran, "minute {minute} of {group}");
    }
}

#[test]
fn settings() {
    for (yaml, expect) in [
        ("{}", "\"command\" is required"),
        ("{ command: [] }", "\"command\" is required"),
        ("{ command: [fix] }", "is not an absolute path"),
        ("{ command: [/usr/../bin/fix] }", "is not an absolute path"),
        ("{ command: ['{{ .Status }}'] }", "nothing says which it may be"),
        ("{ command: [/bin/a], allow: [/bin/b] }", "does not have the program"),
        ("{ command: [/bin/a, '{{ .Alerts }}'] }", "not a field"),
        ("{ command: [/bin/a], timeout: 0s }", "hangs"),
        ("{ command: [/bin/a], sending_queue: { num_consumers: 2 } }", "one at a time"),
        ("{ command: [/bin/a], cooldown: 1s }", "did you mean \"cool_down\"?"),
    ] {
        let (_, mistakes) = plan_or_mistakes("command", yaml);
        assert!(mistakes.iter().any(|mistake| mistake.contains(expect)), "{yaml}: {mistakes:#?}");
    }
}
