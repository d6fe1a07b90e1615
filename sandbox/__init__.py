"""Loopback stand-ins for the services that GPUScout talks to, for the demo and for tests."""
