//! A real MariaDB for all tests of this binary, each with a database of its own: on a loopback port and in a
//! folder of its own, which are removed when the binary ends, however it ends. A proxy before the server can
//! be closed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use openai_inbound_calls::clock::now;
use openai_inbound_calls::registry::Server;
use sqlx::mysql::MySqlPool;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The time limit of a wait: longer than a server takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The interval at which a condition is checked.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Set by `tests/run database`: a missing server is then a failure.
const REQUIRED: &str = "DATABASE_TESTS";
const PROGRAMS: [&str; 2] = ["/usr/sbin", "/usr/bin"];
/// The password, and its form in an address, where some of its characters are escaped.
const PASSWORD: (&str, &str) = ("p@ss/w?rd", "p%40ss%2Fw%3Frd");

/// Runs the server until the standard input of this script ends, which happens when this process ends; then
/// removes its folder. On command it kills the server and starts it again.
const KEEPER: &str = r#"
run() { "$@" >>"$FOLDER/log" 2>&1 & server=$!; }
run "$@"
while read -r line; do
    case $line in
        kill) kill -KILL $server; wait $server 2>/dev/null ;;
        start) run "$@" ;;
    esac
done
kill -KILL $server; wait $server 2>/dev/null
rm -rf "$FOLDER"
"#;

struct Running {
    port: u16,
    certificate: PathBuf,
    /// The standard input of this process keeps the server running.
    keeper: Mutex<Child>,
}

impl Running {
    fn tell(&self, what: &str) {
        let mut keeper = self.keeper.lock().expect("no panic");
        writeln!(keeper.stdin.as_mut().expect("piped"), "{what}").expect("it listens");
    }
}

static SERVER: OnceLock<Option<Arc<Running>>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// One database of the server.
pub(crate) struct Database {
    server: Arc<Running>,
    name: String,
}

impl Database {
    /// An empty database. None: there is no MariaDB, and a line says so.
    pub(crate) async fn new() -> Option<Self> {
        Self::on(SERVER.get_or_init(start).clone()).await
    }

    /// A database on a server of its own, which can be killed.
    pub(crate) async fn with_its_server() -> Option<Self> {
        let server = tokio::task::spawn_blocking(start).await.expect("no panic");
        Self::on(server).await
    }

    async fn on(server: Option<Arc<Running>>) -> Option<Self> {
        let Some(server) = server else {
            assert!(std::env::var_os(REQUIRED).is_none(), "there is no mariadbd");
            println!("skipped: there is no mariadbd (tests/run database installs it)");
            return None;
        };
        let name = format!("calls{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        let mut root = connect(database.server.port).await.expect("it runs");
        let name = &database.name;
        for sql in [
            format!("CREATE DATABASE {name}"),
            format!("CREATE USER {name} IDENTIFIED BY '{}'", PASSWORD.0),
            format!("GRANT ALL ON {name}.* TO {name}"),
        ] {
            root.execute(AssertSqlSafe(sql)).await.expect("root may");
        }
        Some(database)
    }

    /// Kills the server, whatever it is doing.
    pub(crate) async fn kill_server(&self) {
        self.server.tell("kill");
        while connect(self.server.port).await.is_ok() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Starts the server again, and waits until it is ready.
    pub(crate) async fn start_server(&self) {
        self.server.tell("start");
        let until_it_runs = async {
            while connect(self.server.port).await.is_err() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, until_it_runs).await.expect("MariaDB starts again");
    }

    /// Takes a privilege from the user of the database.
    pub(crate) async fn refuse(&self, right: &str) {
        let name = &self.name;
        let revoke = AssertSqlSafe(format!("REVOKE {right} ON {name}.* FROM {name}"));
        connect(self.server.port).await.expect("it runs").execute(revoke).await.expect("root may");
    }

    pub(crate) fn address(&self) -> Server {
        self.address_at(self.server.port)
    }

    /// The address with these parameters. The server then admits no connection without TLS.
    pub(crate) async fn address_with_tls(&self, parameters: &str) -> Server {
        let name = &self.name;
        let only = AssertSqlSafe(format!("ALTER USER {name} REQUIRE SSL"));
        connect(self.server.port).await.expect("it runs").execute(only).await.expect("root may");
        format!("{}?{parameters}", self.url(self.server.port)).parse().expect("an address")
    }

    /// The certificate of the server, which is self-signed.
    pub(crate) fn certificate(&self) -> String {
        self.server.certificate.display().to_string()
    }

    fn address_at(&self, port: u16) -> Server {
        self.url(port).parse().expect("an address")
    }

    /// The address as `DATABASE_URL` has it.
    pub(crate) fn database_url(&self) -> String {
        self.url(self.server.port)
    }

    fn url(&self, port: u16) -> String {
        let name = &self.name;
        format!("mysql://{name}:{}@127.0.0.1:{port}/{name}", PASSWORD.1)
    }

    /// A connection with the rights of an administrator.
    pub(crate) async fn pool(&self) -> MySqlPool {
        let url = format!("mysql://root@127.0.0.1:{}/{}", self.server.port, self.name);
        MySqlPool::connect(&url).await.expect("it runs")
    }
}

async fn connect(port: u16) -> sqlx::Result<MySqlConnection> {
    MySqlConnection::connect(&format!("mysql://root@127.0.0.1:{port}/mysql")).await
}

fn program(name: &str) -> Option<PathBuf> {
    PROGRAMS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// Starts the server if it is installed.
fn start() -> Option<Arc<Running>> {
    let (server, install) = (program("mariadbd")?, program("mariadb-install-db")?);
    let folder = tempfile::Builder::new().prefix("mariadb").tempdir().expect("a folder").keep();
    let is_root = rustix::process::getuid().is_root();
    let mut options =
        vec!["--no-defaults".to_owned(), format!("--datadir={}", folder.join("data").display())];
    if is_root {
        // The server refuses to run as root.
        options.push("--user=nobody".into());
        assert!(Command::new("chown").arg("nobody").arg(&folder).status().expect("chown").success());
    }
    let made = Command::new(install)
        .args(&options)
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    for (name, pem) in [("certificate", key.cert.pem()), ("key", key.signing_key.serialize_pem())] {
        std::fs::write(folder.join(name), pem).expect("a file");
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let keeper = Command::new("sh")
        .args(["-c", KEEPER, "keeper"])
        .arg(server)
        .args(&options)
        .arg(format!("--socket={}", folder.join("socket").display()))
        .arg(format!("--port={port}"))
        .arg(format!("--ssl-cert={}", folder.join("certificate").display()))
        .arg(format!("--ssl-key={}", folder.join("key").display()))
        .args(["--bind-address=127.0.0.1", "--skip-log-bin", "--innodb-buffer-pool-size=32M"])
        .env("FOLDER", &folder)
        .stdin(Stdio::piped())
        .spawn()
        .expect("sh");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::thread::spawn(move || {
        let end = now() + PATIENCE;
        while let Err(error) = runtime.block_on(connect(port)) {
            assert!(now() < end, "MariaDB does not start: {error}");
            std::thread::sleep(LOOK_EVERY);
        }
    })
    .join()
    .unwrap_or_else(|_| panic!("{}", std::fs::read_to_string(folder.join("log")).unwrap_or_default()));
    let certificate = folder.join("certificate");
    Some(Arc::new(Running { port, certificate, keeper: Mutex::new(keeper) }))
}

/// A proxy before the server. While it is closed, it refuses connections and cuts those that are open.
pub(crate) struct Door {
    port: u16,
    is_open: watch::Sender<bool>,
    _forwarding: JoinSet<()>,
}

impl Door {
    pub(crate) async fn shut(database: &Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let (is_open, mut open) = watch::channel(false);
        let server = database.server.port;
        let mut forwarding = JoinSet::new();
        forwarding.spawn(async move {
            let mut guests = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((guest, _)) = listener.accept() => {
                        if *open.borrow() {
                            guests.spawn(forward(guest, server));
                        }
                    }
                    changed = open.changed() => {
                        if changed.is_err() { return }
                        if !*open.borrow() { guests.shutdown().await }
                    }
                }
            }
        });
        Self { port, is_open, _forwarding: forwarding }
    }

    pub(crate) fn set(&self, open: bool) {
        self.is_open.send_replace(open);
    }

    /// The address of the database through the proxy.
    pub(crate) fn address(&self, database: &Database) -> Server {
        database.address_at(self.port)
    }
}

async fn forward(mut guest: TcpStream, server: u16) {
    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await {
        // The connection may end in any way.
        tokio::io::copy_bidirectional(&mut guest, &mut server).await.ok();
    }
}
