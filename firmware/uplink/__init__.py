"""The backend's line: MQTT link, outbox, OCPP vocabulary and command handlers."""
