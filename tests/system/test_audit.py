"""What an administrator does on the command line stands in the audit log of the web application."""
import getpass


def test_commands_leave_rows_that_superusers_see(datil):
    datil.add_user("audited@example.org")
    datil.datil("group", "add", "audited@example.org", "Hackers")
    datil.datil("group", "remove", "audited@example.org", "Hackers")
    datil.datil("user", "password", "audited@example.org", "--password-stdin", stdin="another long one\n")
    datil.datil("user", "disable", "audited@example.org")
    datil.datil("user", "enable", "audited@example.org")
    datil.token("audited@example.org")
    (token,) = datil.sql("SELECT t.id::text, key_start FROM api_token t JOIN app_user u ON u.id = t.user_id "
                         "WHERE email = 'audited@example.org'")
    datil.datil("token", "remove", token[0])
    crash_id = datil.post({"AuditedNote": "x"})  # a name of its own: the installation is shared
    datil.wait_processed(crash_id)
    datil.datil("reprocess", crash_id)
    datil.datil("reprocess", "--search", "uuid=" + crash_id)
    datil.datil("purge", "annotation", "AuditedNote")
    datil.datil("crash", "delete", crash_id)
    datil.datil("product", "add", "Audited")
    datil.datil("product", "remove", "Audited")

    rows = {tuple(row) for row in datil.sql(
        "SELECT object, object_id, action, message FROM audit_log WHERE user_name LIKE '%%, command line'")}
    mail = "audited@example.org"
    for row in [("user", mail, "add", ""), ("user", mail, "change", "joined group Hackers"),
                ("user", mail, "change", "left group Hackers"), ("user", mail, "change", "password"),
                ("user", mail, "change", "disabled"), ("user", mail, "change", "enabled"),
                ("token", token[1], "add", mail), ("token", token[0], "delete", ""),
                ("crash", crash_id, "reprocess", "default"), ("crash", crash_id, "delete", ""),
                ("crash", "", "reprocess", "default, 1 crashes of a search"),
                ("annotation", "AuditedNote", "purge", "all products: 1 crashes, 0 dumps"),
                ("product", "Audited", "add", ""), ("product", "Audited", "delete", "")]:
        assert row in rows, row
    names = {row[0] for row in datil.sql("SELECT DISTINCT user_name FROM audit_log WHERE object = 'product'")}
    assert any(getpass.getuser() in name for name in names), names
