"""What the database itself holds: the audit is append-only, and a change of keys invalidates caches."""

from __future__ import annotations

from django.db import migrations

FORWARD = """
CREATE FUNCTION halo_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON orgs_auditentry
    FOR EACH ROW EXECUTE FUNCTION halo_append_only();

CREATE FUNCTION halo_bump_config() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE changed uuid;
BEGIN
    IF TG_OP = 'DELETE' THEN changed := OLD.org_id; ELSE changed := NEW.org_id; END IF;
    UPDATE orgs_organization SET config_version = config_version + 1 WHERE id = changed;
    RETURN NULL;
END $$;
CREATE TRIGGER identity_secret_bumps_config AFTER INSERT OR UPDATE OR DELETE ON orgs_identitysecret
    FOR EACH ROW EXECUTE FUNCTION halo_bump_config();
"""
BACKWARD = """
DROP TRIGGER identity_secret_bumps_config ON orgs_identitysecret;
DROP FUNCTION halo_bump_config();
DROP TRIGGER audit_append_only ON orgs_auditentry;
DROP FUNCTION halo_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("orgs", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
