//! The files that `.env` names and the service reads: agents, instructions and others, which the script copies from beside itself.

use std::fs;

use crate::machine::Machine;
use crate::{ENV, FILLED_IN};

const CITAS: &str = "/usr/local/asterisk/agents/citas.toml";

/// A checkout with an agent and with the settings that name its folder.
fn machine() -> Machine {
    let machine = Machine::new();
    fs::create_dir(machine.checkout("agents")).expect("a folder");
    for (file, text) in [
        (".env", &*format!("{FILLED_IN}AGENTS_DIR=agents\n")),
        ("agents/citas.toml", "one"),
        ("agents/citas.md", "Sea breve."),
        ("agents/_crm.toml", "shared"),
        ("agents/.citas.toml.swp", "an editor's"),
    ] {
        fs::write(machine.checkout(file), text).expect("a file");
    }
    machine
}

#[test]
fn the_folder_of_agents_is_copied_and_only_the_service_may_read_it() {
    let machine = machine();
    let said = machine.install(&["--dry-run"]);
    assert!(said.contains(CITAS) && machine.everything().is_empty(), "{said}");
    machine.install(&[]);
    assert_eq!(machine.read(CITAS), "one");
    assert_eq!(machine.read("/usr/local/asterisk/agents/citas.md"), "Sea breve.");
    assert_eq!(machine.read("/usr/local/asterisk/agents/_crm.toml"), "shared");
    assert!(!machine.path("/usr/local/asterisk/agents/.citas.toml.swp").exists());
    assert_eq!((machine.mode("/usr/local/asterisk/agents"), machine.mode(CITAS)), (0o750, 0o640));

    let before = machine.everything();
    let said = machine.install(&[]);
    assert!(machine.everything() == before, "{said}");
    assert!(!said.contains("agents"), "{said}");
}

#[test]
fn what_changed_beside_the_script_is_copied_again_and_nothing_is_deleted() {
    let machine = machine();
    machine.install(&[]);
    fs::write(machine.checkout("agents/citas.toml"), "two").expect("a file");
    fs::write(machine.checkout("agents/ventas.toml"), "new").expect("a file");
    fs::remove_file(machine.checkout("agents/citas.md")).expect("a file");
    let said = machine.install(&[]);
    assert_eq!(machine.read(CITAS), "two");
    assert_eq!(machine.read("/usr/local/asterisk/agents/ventas.toml"), "new");
    assert_eq!(machine.read("/usr/local/asterisk/agents/citas.md"), "Sea breve.");
    assert!(said.contains("sigue instalado: /usr/local/asterisk/agents/citas.md"), "{said}");
}

#[test]
fn what_changed_in_the_installed_place_stays_and_the_script_says_so() {
    let machine = machine();
    machine.install(&[]);
    machine.write(CITAS, "edited");
    machine.write("/usr/local/asterisk/agents/noche.toml", "made there");
    fs::remove_file(machine.path("/usr/local/asterisk/agents/citas.md")).expect("a file");
    let said = machine.install(&[]);
    assert!(said.contains(&format!("Se conserva {CITAS}")), "{said}");
    assert!(said.contains("Se conserva /usr/local/asterisk/agents/citas.md"), "{said}");
    assert_eq!(machine.read(CITAS), "edited");
    assert_eq!(machine.read("/usr/local/asterisk/agents/noche.toml"), "made there");
    assert!(!machine.path("/usr/local/asterisk/agents/citas.md").exists());
    // Both have changed.
    fs::write(machine.checkout("agents/citas.toml"), "two").expect("a file");
    let said = machine.install(&[]);
    assert!(said.contains("ATENCIÓN") && said.contains(&format!("/agents/citas.toml {CITAS}")), "{said}");
    assert_eq!(machine.read(CITAS), "edited");
    // The operator has put the new one there.
    machine.write(CITAS, "two");
    let said = machine.install(&[]);
    assert!(!said.contains(CITAS), "{said}");
}

#[test]
fn what_was_there_before_the_first_copy_stays_unless_it_is_the_same() {
    let machine = machine();
    machine.write(CITAS, "made there");
    machine.write("/srv/citas.md", "elsewhere");
    let link = machine.path("/usr/local/asterisk/agents/citas.md");
    std::os::unix::fs::symlink(machine.path("/srv/citas.md"), &link).expect("a link");
    let said = machine.install(&[]);
    assert_eq!(said.matches("ATENCIÓN: no se copia").count(), 2, "{said}");
    assert!(link.is_symlink() && machine.read("/srv/citas.md") == "elsewhere", "{said}");
    assert_eq!(machine.read(CITAS), "made there");
    assert_eq!(machine.read("/usr/local/asterisk/agents/_crm.toml"), "shared");
}

#[test]
fn single_files_are_copied_too_and_a_deleted_one_comes_back() {
    let machine = Machine::new();
    let settings = format!(
        "{FILLED_IN}ASSISTANT_INSTRUCTIONS_FILE=./textos/guia.txt\nAPOLOGY_FILE=none\nPRICES_FILE=prices.toml\n"
    );
    fs::create_dir(machine.checkout("textos")).expect("a folder");
    for (file, text) in [(".env", &*settings), ("textos/guia.txt", "Sea breve."), ("prices.toml", "[x]")] {
        fs::write(machine.checkout(file), text).expect("a file");
    }
    let installed = "/usr/local/asterisk/textos/guia.txt";
    machine.install(&[]);
    assert_eq!((machine.read(installed).as_str(), machine.mode(installed)), ("Sea breve.", 0o640));
    assert_eq!(machine.read("/usr/local/asterisk/prices.toml"), "[x]");
    fs::remove_file(machine.path(installed)).expect("a file");
    machine.install(&[]);
    assert_eq!(machine.read(installed), "Sea breve.");
}

#[test]
fn what_does_not_exist_or_the_service_cannot_see_is_named() {
    for (line, said_of) in [
        ("AGENTS_DIR=agents", "no existe lo que nombra AGENTS_DIR: /usr/local/asterisk/agents"),
        ("AGENTS_DIR=../agents", "no existe lo que nombra AGENTS_DIR"),
        ("PRICES_FILE=/srv/prices.toml", "no existe lo que nombra PRICES_FILE: /srv/prices.toml"),
        ("AGENTS_DIR=/home/ana/agents", "el servicio no ve la carpeta de AGENTS_DIR"),
    ] {
        let machine = Machine::new();
        machine.write(ENV, &format!("{FILLED_IN}{line}\n"));
        let said = machine.install(&[]);
        assert!(said.contains(said_of) && said.contains("Siguiente paso"), "{line}: {said}");
        // Nothing was made in its place.
        assert!(!machine.path("/usr/local/asterisk/agents").exists(), "{line}");
    }
}

#[test]
fn links_are_not_followed() {
    let machine = machine();
    let secret = machine.folder.path().join("shadow");
    fs::write(&secret, "secret").expect("a file");
    std::os::unix::fs::symlink(&secret, machine.checkout("agents/shadow.md")).expect("a link");
    machine.write("/etc/other/x", "");
    fs::create_dir_all(machine.path("/usr/local/asterisk")).expect("a folder");
    machine.install(&[]);
    assert!(!machine.path("/usr/local/asterisk/agents/shadow.md").exists());
    let folder = machine.path("/usr/local/asterisk/agents");
    fs::remove_dir_all(&folder).expect("a folder");
    std::os::unix::fs::symlink(machine.path("/etc/other"), &folder).expect("a link");
    let said = machine.install(&[]);
    assert!(said.contains("es un enlace"), "{said}");
    assert_eq!(fs::read_dir(machine.path("/etc/other")).expect("a folder").count(), 1, "{said}");
}
