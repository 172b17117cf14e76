"""A change of an organisation's own settings invalidates caches, as one of its agents and keys does already."""

from __future__ import annotations

from django.db import migrations

# The ticket counter is no setting, and whoever bumps the version alone has done what this does.
FORWARD = """
CREATE FUNCTION halo_bump_own_config() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.config_version := greatest(OLD.config_version, NEW.config_version) + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER organization_bumps_config BEFORE UPDATE ON orgs_organization
    FOR EACH ROW WHEN (
        to_jsonb(OLD) - '{config_version,ticket_counter}'::text[]
        IS DISTINCT FROM to_jsonb(NEW) - '{config_version,ticket_counter}'::text[]
    ) EXECUTE FUNCTION halo_bump_own_config();
"""
BACKWARD = """
DROP TRIGGER organization_bumps_config ON orgs_organization;
DROP FUNCTION halo_bump_own_config();
"""


class Migration(migrations.Migration):
    dependencies = [("orgs", "0004_turn_limit")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
