//! A table's Delta log, as far as an append-mostly table needs it: protocol 1/2, metadata, add, remove, txn,
//! checkpoints. See <https://github.com/delta-io/delta/blob/master/PROTOCOL.md>.
//!
//! A commit is on disk when [`DeltaLog::commit`] returns: delta-rs and object_store leave fsync to the system.
//! Other writers (`OPTIMIZE`, `VACUUM`) are seen and outwaited: a version that is taken is read, and ours goes after it.

mod checkpoint;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, bail};
use arrow::datatypes::{DataType, Schema};
use serde_json::{Map, Value, json};

use crate::disk::{Disk, gone};
use crate::files::{FileEntry, Tags, percent_decode};

/// Commits between checkpoints.
const CHECKPOINT_EVERY: i64 = 50;
/// A version taken by another writer is outwaited this often.
const MAX_CONFLICTS: usize = 100;

#[derive(Debug)]
pub(crate) struct DeltaLog {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// The last version read or written; -1: no table yet.
    version: i64,
    protocol: Option<Value>,
    metadata: Option<Value>,
    /// Live files by path relative to the table's folder.
    adds: BTreeMap<String, Value>,
    entries: BTreeMap<String, Arc<FileEntry>>,
    /// Files that are live no more and may still be there, with when they went (milliseconds since 1970).
    tombstones: BTreeMap<String, i64>,
    transactions: HashMap<String, i64>,
    /// A commit failed that may be there all the same.
    uncertain: bool,
}

impl DeltaLog {
    /// Reads what is there; a table that does not exist yet is an empty one.
    pub(crate) fn open(disk: &Arc<dyn Disk>, table: &Path) -> anyhow::Result<DeltaLog> {
        let mut log = DeltaLog {
            disk: disk.clone(),
            folder: table.join("_delta_log"),
            version: -1,
            protocol: None,
            metadata: None,
            adds: BTreeMap::new(),
            entries: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            transactions: HashMap::new(),
            uncertain: false,
        };
        let checkpoint = checkpoint::last(&**disk, &log.folder)?;
        if let Some((version, actions)) = checkpoint::read_last(&**disk, &log.folder)? {
            actions.iter().try_for_each(|action| log.apply(action))?;
            log.version = version;
        }
        log.refresh()?;
        if checkpoint.is_some_and(|version| log.version < version) {
            bail!(
                "{}: commits before version {checkpoint:?} are gone, and its checkpoint cannot be read",
                log.folder.display()
            );
        }
        log.check_protocol()?;
        Ok(log)
    }

    fn check_protocol(&self) -> anyhow::Result<()> {
        let Some(protocol) = &self.protocol else { return Ok(()) };
        let reader = protocol["minReaderVersion"].as_i64().unwrap_or(0);
        let writer = protocol["minWriterVersion"].as_i64().unwrap_or(0);
        if reader > 1 || writer > 2 {
            bail!("{} needs Delta protocol {reader}/{writer}; this program knows 1/2", self.folder.display());
        }
        Ok(())
    }

    /// Reads versions written since.
    fn refresh(&mut self) -> anyhow::Result<()> {
        loop {
            let path = self.version_path(self.version + 1);
            let text = match self.disk.read(&path) {
                Ok(bytes) => String::from_utf8(bytes).with_context(|| format!("{} is damaged", path.display()))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
            };
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let action = serde_json::from_str(line).with_context(|| format!("{} is damaged", path.display()))?;
                self.apply(&action)?;
            }
            self.version += 1;
        }
    }

    /// Takes in what other writers committed, and commits of our own that failed after they were in place. What is relied on
    /// from here on is on disk.
    pub(crate) fn catch_up(&mut self) -> anyhow::Result<()> {
        self.disk.sync_folder(&self.folder).with_context(|| format!("syncing {}", self.folder.display()))?;
        self.refresh()?;
        self.uncertain = false;
        Ok(())
    }

    /// Finds out whether a commit that failed is there.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        if self.uncertain { self.catch_up() } else { Ok(()) }
    }

    fn version_path(&self, version: i64) -> PathBuf {
        self.folder.join(format!("{version:020}.json"))
    }

    fn apply(&mut self, action: &Value) -> anyhow::Result<()> {
        let Some((kind, body)) = action.as_object().and_then(|action| action.iter().find(|(_, body)| !body.is_null()))
        else {
            return Ok(());
        };
        let path = || body["path"].as_str().map(str::to_owned).context("an action without `path`");
        match kind.as_str() {
            "add" => {
                let mut entry = FileEntry::from_add(body).with_context(|| format!("add action {body}"))?;
                if let Some(before) = self.entries.get(&path()?) {
                    entry.held = before.held.clone();
                }
                self.entries.insert(path()?, Arc::new(entry));
                self.adds.insert(path()?, body.clone());
                self.tombstones.remove(&path()?);
            }
            "remove" => {
                self.entries.remove(&path()?);
                self.adds.remove(&path()?);
                self.tombstones.insert(path()?, body["deletionTimestamp"].as_i64().unwrap_or(0));
            }
            "metaData" => self.metadata = Some(body.clone()),
            "protocol" => self.protocol = Some(body.clone()),
            "txn" => {
                let app = body["appId"].as_str().unwrap_or_default().to_owned();
                self.transactions.insert(app, body["version"].as_i64().unwrap_or(0));
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn is_new(&self) -> bool {
        self.version < 0
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<FileEntry>> {
        self.entries.values()
    }

    /// What takes a live file out; `None`: it is live no more. `rows_go`: what it holds is in no other file from then on.
    pub(crate) fn remove_action(&self, file: &FileEntry, rows_go: bool, now_ms: i64) -> Option<Value> {
        let (path, add) = self.add_of(file)?;
        Some(json!({"remove": {
            "path": path,
            "deletionTimestamp": now_ms,
            "dataChange": rows_go,
            "extendedFileMetadata": true,
            "partitionValues": add["partitionValues"],
            "size": add["size"],
        }}))
    }

    /// What gives a live file other tags.
    pub(crate) fn tag_action(&self, file: &FileEntry, tags: &Tags) -> Option<Value> {
        let (_, add) = self.add_of(file)?;
        let mut add = add.clone();
        add["dataChange"] = false.into();
        tags.put(&mut add);
        Some(json!({ "add": add }))
    }

    pub(crate) fn is_live(&self, file: &FileEntry) -> bool {
        self.add_of(file).is_some()
    }

    fn add_of(&self, file: &FileEntry) -> Option<(&String, &Value)> {
        // Paths of our own files are the same in the log and in the file system.
        let path = match self.entries.get_key_value(&file.path) {
            Some((path, _)) => path,
            None => self.entries.iter().find(|(_, entry)| entry.path == file.path)?.0,
        };
        self.adds.get_key_value(path)
    }

    /// Files that were taken out, by their path in the table's folder, and when.
    pub(crate) fn tombstones(&self) -> impl Iterator<Item = (String, i64)> {
        self.tombstones.iter().map(|(path, at)| (percent_decode(path), *at))
    }

    /// A file that was taken out is there no more.
    pub(crate) fn forget(&mut self, path: &str) {
        self.tombstones.retain(|taken, _| percent_decode(taken) != path);
    }

    pub(crate) fn transaction(&self, app: &str) -> Option<i64> {
        self.transactions.get(app).copied()
    }

    /// A key of the table's own configuration.
    pub(crate) fn configuration(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?["configuration"][key].as_str()
    }

    /// Makes the table, or changes its columns when they are not these.
    pub(crate) fn ensure_schema(
        &mut self,
        name: &str,
        schema: &Schema,
        configuration: &[(&str, String)],
        now_ms: i64,
    ) -> anyhow::Result<()> {
        let schema = schema_json(schema).to_string();
        let configuration = configuration.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str())));
        let configuration = Value::Object(configuration.collect::<Map<_, _>>());
        let mut actions = Vec::new();
        let metadata = match &self.metadata {
            Some(old) if old["schemaString"] == schema.as_str() && old["configuration"] == configuration => {
                return Ok(());
            }
            Some(old) => {
                let mut new = old.clone();
                new["schemaString"] = schema.into();
                new["configuration"] = configuration;
                new
            }
            None => {
                self.disk.create_folder(&self.folder)?;
                actions.push(json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}));
                json!({
                    "id": self.disk.fresh_id().to_string(),
                    "name": name,
                    "format": {"provider": "parquet", "options": {}},
                    "schemaString": schema,
                    "partitionColumns": ["date"],
                    "configuration": configuration,
                    "createdTime": now_ms,
                })
            }
        };
        actions.push(json!({"metaData": metadata}));
        self.commit("CREATE OR ALTER", actions, now_ms)
    }

    /// One version holding all of `actions`, on disk when this returns.
    pub(crate) fn commit(&mut self, operation: &str, actions: Vec<Value>, now_ms: i64) -> anyhow::Result<()> {
        self.commit_if(operation, actions, now_ms, &|_| true).map(drop)
    }

    /// The same as long as `holds`, whatever other writers commit meanwhile; else nothing is written, and `false`.
    pub(crate) fn commit_if(
        &mut self,
        operation: &str,
        mut actions: Vec<Value>,
        now_ms: i64,
        holds: &dyn Fn(&DeltaLog) -> bool,
    ) -> anyhow::Result<bool> {
        let info = json!({
            "timestamp": now_ms,
            "operation": operation,
            "operationParameters": {},
            "engineInfo": concat!("catchment/", env!("CARGO_PKG_VERSION")),
        });
        actions.insert(0, json!({"commitInfo": info}));
        let text = actions.iter().map(|action| format!("{action}\n")).collect::<String>();
        self.settle()?;
        for _ in 0..MAX_CONFLICTS {
            // Another writer's version, read meanwhile, may have raised it.
            self.check_protocol()?;
            if !holds(self) {
                return Ok(false);
            }
            let path = self.version_path(self.version + 1);
            match self.disk.create_new(&path, text.as_bytes()) {
                Ok(()) => {
                    self.version += 1;
                    actions.iter().try_for_each(|action| self.apply(action))?;
                    self.maybe_checkpoint();
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.catch_up()?,
                Err(error) => {
                    self.uncertain = true;
                    return Err(error).with_context(|| format!("writing {}", path.display()));
                }
            }
        }
        bail!("{}: other writers took {MAX_CONFLICTS} versions in a row", self.folder.display())
    }

    /// Deletes commits and checkpoints that the newest checkpoint stands for and that are older than this.
    pub(crate) fn expire(&self, before: Option<SystemTime>) -> anyhow::Result<()> {
        let newest = checkpoint::last(&*self.disk, &self.folder)?;
        let Some((before, newest)) = before.zip(newest) else { return Ok(()) };
        let mut deleted = false;
        for entry in self.disk.list(&self.folder)? {
            let version = entry.name.to_str().and_then(|name| name.get(..20)?.parse::<i64>().ok());
            let path = self.folder.join(&entry.name);
            if version.is_some_and(|version| version < newest) && self.disk.modified(&path)? <= before {
                gone(self.disk.remove(&path))?;
                deleted = true;
            }
        }
        // After this a crash brings none back.
        if deleted {
            self.disk.sync_folder(&self.folder)?;
        }
        Ok(())
    }

    /// What commits said of files that are gone, their least and greatest values among it, is there no more.
    pub(crate) fn forget_history(&self) -> anyhow::Result<()> {
        if self.version > 0 {
            checkpoint::write(&*self.disk, &self.folder, self.version, &self.actions())?;
        }
        self.expire(Some(self.disk.now()))
    }

    /// A checkpoint only makes opening quicker: failing to write one is no reason to fail a commit.
    fn maybe_checkpoint(&self) {
        if self.version == 0 || self.version % CHECKPOINT_EVERY != 0 {
            return;
        }
        if let Err(error) = self.checkpoint() {
            tracing::warn!(table = %self.folder.display(), "no Delta checkpoint written: {error:#}");
        }
    }

    pub(crate) fn checkpoint(&self) -> anyhow::Result<()> {
        checkpoint::write(&*self.disk, &self.folder, self.version, &self.actions())
    }

    /// The table's whole state.
    fn actions(&self) -> Vec<Value> {
        let wrap = |kind: &str, body: &Value| json!({ kind: body });
        let head = self.protocol.iter().map(|body| wrap("protocol", body));
        let metadata = self.metadata.iter().map(|body| wrap("metaData", body));
        let transactions =
            self.transactions.iter().map(|(app, version)| json!({"txn": {"appId": app, "version": version}}));
        let adds = self.adds.values().map(|body| wrap("add", body));
        let tombstones = self
            .tombstones
            .iter()
            .map(|(path, at)| json!({"remove": {"path": path, "deletionTimestamp": at, "dataChange": false}}));
        head.chain(metadata).chain(transactions).chain(adds).chain(tombstones).collect()
    }
}

/// Delta's JSON form of a schema, with the partition column last.
fn schema_json(schema: &Schema) -> Value {
    let field = |name: &str, kind: Value| json!({"name": name, "type": kind, "nullable": true, "metadata": {}});
    let mut fields = schema.fields().iter().map(|f| field(f.name(), type_json(f.data_type()))).collect::<Vec<_>>();
    fields.push(field("date", "date".into()));
    json!({"type": "struct", "fields": fields})
}

fn type_json(kind: &DataType) -> Value {
    match kind {
        DataType::Int64 => "long".into(),
        DataType::Int32 => "integer".into(),
        DataType::Float64 => "double".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::List(item) => {
            json!({"type": "array", "elementType": type_json(item.data_type()), "containsNull": true})
        }
        DataType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|f| json!({"name": f.name(), "type": type_json(f.data_type()), "nullable": true, "metadata": {}}));
            json!({"type": "struct", "fields": fields.collect::<Vec<_>>()})
        }
        _ => "string".into(),
    }
}
