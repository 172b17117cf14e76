"""What the database itself holds: versions are insert-only, and a change of agents or rules invalidates caches."""

from __future__ import annotations

from django.db import migrations

FORWARD = """
CREATE TRIGGER agent_version_insert_only BEFORE UPDATE OR DELETE ON agents_agentversion
    FOR EACH ROW EXECUTE FUNCTION halo_append_only();
CREATE TRIGGER agent_bumps_config AFTER INSERT OR UPDATE OR DELETE ON agents_agent
    FOR EACH ROW EXECUTE FUNCTION halo_bump_config();
CREATE TRIGGER routing_rule_bumps_config AFTER INSERT OR UPDATE OR DELETE ON agents_routingrule
    FOR EACH ROW EXECUTE FUNCTION halo_bump_config();
"""
BACKWARD = """
DROP TRIGGER routing_rule_bumps_config ON agents_routingrule;
DROP TRIGGER agent_bumps_config ON agents_agent;
DROP TRIGGER agent_version_insert_only ON agents_agentversion;
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0002_initial"), ("orgs", "0002_guards")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
