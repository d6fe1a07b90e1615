"""Tables: outgoing webhooks: endpoints, deliveries and wrapped data keys."""
