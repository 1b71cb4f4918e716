"""Own machines: a BMC each (Redfish) and one switch (SNMP)."""
