"""What the client tests stand on: brokers to start and kill, Kafka's tools, and the wire protocol by hand."""
