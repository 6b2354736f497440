//! The real parts our tests run beside, as values. To add one: a committed file with its pinned versions, and an
//! entry in [`PARTS`]. Programs it needs come from Debian where they are missing and this may install them.
//!
//! A part is present when the copy of its pins that its installation left (`stamp`) equals the committed ones, so
//! a changed pin installs anew.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::install::{
    alertmanager, browser, collector, go_modules, java, node, prometheus, python, victoriametrics, web,
};
use crate::system::{CC, CHROMIUM, GO, JAVA, MAVEN, NODE, NPM, PYTHON, Tool};

pub struct Part {
    pub name: &'static str,
    /// The committed file that pins its versions.
    pins: &'static str,
    needs: &'static [&'static Tool],
    /// Fills the (empty) folder, which holds a copy of the pins.
    install: fn(&Path) -> anyhow::Result<()>,
}

/// Sorted by name.
pub const PARTS: &[Part] = &[
    Part { name: "alertmanager", pins: "tests/peers/alertmanager/go.mod", needs: &[&GO], install: alertmanager },
    Part {
        name: "browser",
        pins: "tests/peers/browser/package.json",
        needs: &[&CHROMIUM, &NODE, &NPM],
        install: browser,
    },
    Part { name: "collector", pins: "tests/peers/collector/builder.yaml", needs: &[&GO], install: collector },
    Part { name: "go", pins: "examples/go/go.mod", needs: &[&GO], install: go_modules },
    Part { name: "java", pins: "examples/java/pom.xml", needs: &[&JAVA, &MAVEN], install: java },
    Part { name: "node", pins: "tests/peers/node/package.json", needs: &[&NODE, &NPM], install: node },
    Part { name: "prometheus", pins: "tests/peers/prometheus/go.mod", needs: &[&GO], install: prometheus },
    Part { name: "python", pins: "tests/peers/python/requirements.txt", needs: &[&PYTHON], install: python },
    Part { name: "smtp", pins: "tests/peers/smtp/requirements.txt", needs: &[&PYTHON], install: python },
    Part {
        name: "victoriametrics",
        pins: "tests/peers/victoriametrics/go.mod",
        needs: &[&GO, &CC],
        install: victoriametrics,
    },
    Part { name: "web", pins: "dashboard/web/package-lock.json", needs: &[&NODE, &NPM], install: web },
];

/// Where the repository is, and where the real parts are kept.
pub struct Place {
    pub repo: PathBuf,
    pub peers: PathBuf,
}

impl Place {
    pub fn of(&self, part: &Part) -> PathBuf {
        self.peers.join(part.name)
    }
}

impl Part {
    /// Installs the part unless it is present with the same pins.
    pub fn ensure(&self, place: &Place) -> anyhow::Result<()> {
        let from = place.repo.join(self.pins);
        let pins = std::fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        let folder = place.of(self);
        let stamp = folder.join("stamp");
        if std::fs::read(&stamp).is_ok_and(|installed| installed == pins) {
            return Ok(());
        }
        self.needs.iter().try_for_each(|tool| tool.ensure())?;
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("clearing {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(from.file_name().unwrap_or_default()), &pins)?;
        (self.install)(&folder)?;
        std::fs::write(&stamp, &pins)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_pins_committed_and_the_list_is_sorted() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for part in PARTS {
            assert!(repo.join(part.pins).is_file(), "{}", part.name);
        }
        assert!(PARTS.is_sorted_by_key(|part| part.name));
    }

    #[test]
    fn a_part_is_installed_once_and_again_when_its_pins_change() -> anyhow::Result<()> {
        fn install(folder: &Path) -> anyhow::Result<()> {
            let log = folder.with_extension("log");
            let times = std::fs::read_to_string(&log).unwrap_or_default() + "x";
            Ok(std::fs::write(log, times)?)
        }
        let root = std::env::temp_dir().join(format!("catchment-xtask-{}", std::process::id()));
        let place = Place { repo: root.join("repo"), peers: root.join("peers") };
        let part = Part { name: "toy", pins: "toy/pins", needs: &[], install };
        let pins = place.repo.join("toy");
        std::fs::create_dir_all(&pins)?;
        let times = || std::fs::read_to_string(place.of(&part).with_extension("log"));

        std::fs::write(pins.join("pins"), "1")?;
        part.ensure(&place)?;
        part.ensure(&place)?;
        assert_eq!(times()?, "x");
        std::fs::write(pins.join("pins"), "2")?;
        part.ensure(&place)?;
        assert_eq!(times()?, "xx");
        Ok(std::fs::remove_dir_all(root)?)
    }
}
