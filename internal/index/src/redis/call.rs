use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, ToRedisArgs};

use super::link::Link;

/// A script and its text.
#[derive(Debug)]
pub(super) struct Script {
    text: String,
    hash: String,
}

impl Script {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), hash: redis::Script::new(text).get_hash().to_owned() }
    }

    /// A call of it over `keys`, which share one hash tag.
    pub(super) fn on<'a>(&'a self, keys: &[&str]) -> Call<'a> {
        let keys = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
        Call { script: self, keys, args: Vec::new() }
    }
}

/// A call of a script.
pub(super) struct Call<'a> {
    script: &'a Script,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

impl Call<'_> {
    pub(super) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        arg.write_redis_args(&mut self.args);
        self
    }

    /// Runs it on the server that has its keys. One that does not know the script yet, such as a replica that was just
    /// promoted, is sent its text together with the call: no other node is needed for it.
    pub(super) async fn run<T: FromRedisValue>(&self, link: &Link) -> Result<T, RedisError> {
        match self.command("EVALSHA", &self.script.hash).query_async(&mut link.clone()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.command("EVAL", &self.script.text).query_async(&mut link.clone()).await
            }
            answer => answer,
        }
    }

    fn command(&self, name: &str, script: &str) -> redis::Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.args);
        command
    }
}
