//! SASL and delegation tokens.

use super::Importance::{High, Low, Medium};
use super::UpdateMode::{PerBroker, ReadOnly};
use super::row::{ANY, NONE, at_least, between, row};
use super::{Kind, Setting, Valid};

pub(super) const ROWS: &[Setting] = &[
    row("authorizer.class.name", Kind::String, "", ANY, Low, ReadOnly)
        .later("What decides who may do what; empty lets everybody do everything."),
    row("delegation.token.expiry.check.interval.ms", Kind::Long, "3600000", at_least(1), Low, ReadOnly)
        .later("Delegation tokens."),
    row("delegation.token.expiry.time.ms", Kind::Long, "86400000", at_least(1), Medium, ReadOnly)
        .later("Delegation tokens."),
    row("delegation.token.max.lifetime.ms", Kind::Long, "604800000", at_least(1), Medium, ReadOnly)
        .later("Delegation tokens."),
    row("delegation.token.secret.key", Kind::Password, NONE, ANY, Medium, ReadOnly)
        .later("Delegation tokens."),
    row("sasl.client.callback.handler.class", Kind::Class, NONE, ANY, Medium, ReadOnly)
        .later("Authentication of clients by SASL."),
    row("sasl.enabled.mechanisms", Kind::List, "GSSAPI", ANY, Medium, PerBroker)
        .later("SASL mechanisms that clients may use."),
    row("sasl.jaas.config", Kind::Password, NONE, ANY, Medium, PerBroker)
        .later("Who may log in by SASL, in the form of Java's JAAS."),
    row("sasl.kerberos.kinit.cmd", Kind::String, "/usr/bin/kinit", ANY, Medium, PerBroker)
        .ignored("Kerberos, which Ottla does not speak."),
    row("sasl.kerberos.min.time.before.relogin", Kind::Long, "60000", ANY, Medium, PerBroker)
        .ignored("Kerberos, which Ottla does not speak."),
    row("sasl.kerberos.principal.to.local.rules", Kind::List, "DEFAULT", ANY, Medium, PerBroker)
        .ignored("Kerberos, which Ottla does not speak."),
    row("sasl.kerberos.service.name", Kind::String, NONE, ANY, Medium, PerBroker)
        .ignored("Kerberos, which Ottla does not speak."),
    row("sasl.kerberos.ticket.renew.jitter", Kind::Double, "0.05", ANY, Medium, PerBroker)
        .ignored("Kerberos, which Ottla does not speak."),
    row("sasl.kerberos.ticket.renew.window.factor", Kind::Double, "0.8", ANY, Medium, PerBroker)
        .ignored("Kerberos, which Ottla does not speak."),
    row("sasl.login.callback.handler.class", Kind::Class, NONE, ANY, Medium, ReadOnly)
        .ignored("Refreshing of a log-in of the broker itself, which Ottla does not need."),
    row("sasl.login.class", Kind::Class, NONE, ANY, Medium, ReadOnly)
        .ignored("Refreshing of a log-in of the broker itself, which Ottla does not need."),
    row("sasl.login.connect.timeout.ms", Kind::Int, NONE, ANY, Low, ReadOnly)
        .ignored("Refreshing of a log-in of the broker itself, which Ottla does not need."),
    row("sasl.login.read.timeout.ms", Kind::Int, NONE, ANY, Low, ReadOnly)
        .ignored("Refreshing of a log-in of the broker itself, which Ottla does not need."),
    row("sasl.login.refresh.buffer.seconds", Kind::Short, "300", ANY, Medium, PerBroker)
        .ignored("Refreshing of a log-in of the broker itself, which Ottla does not need."),
    row("sasl.login.refresh.min.period.seconds", Kind::Short, "60", ANY, Medium, PerBroker)
        .ignored("Refreshing of a log-in of the broker itself, which Ottla does not need."),
    row("sasl.login.refresh.window.factor", Kind::Double, "0.8", ANY, Medium, PerBroker)
        .ignored("Refreshing of a log-in of the broker itself, which Ottla does not need."),
    row("sasl.login.refresh.window.jitter", Kind::Double, "0.05", ANY, Medium, PerBroker)
        .ignored("Refreshing of a log-in of the broker itself, which Ottla does not need."),
    row("sasl.login.retry.backoff.max.ms", Kind::Long, "10000", ANY, Low, ReadOnly)
        .ignored("Refreshing of a log-in of the broker itself, which Ottla does not need."),
    row("sasl.login.retry.backoff.ms", Kind::Long, "100", ANY, Low, ReadOnly)
        .ignored("Refreshing of a log-in of the broker itself, which Ottla does not need."),
    row("sasl.mechanism.controller.protocol", Kind::String, "GSSAPI", ANY, High, ReadOnly)
        .later("Authentication of clients by SASL."),
    row("sasl.mechanism.inter.broker.protocol", Kind::String, "GSSAPI", ANY, Medium, PerBroker)
        .later("SASL mechanism of brokers among themselves."),
    row(
        "sasl.oauthbearer.assertion.algorithm",
        Kind::String,
        "RS256",
        Valid::OneOfAnyCase(&["ES256", "RS256"]),
        Medium,
        ReadOnly,
    )
    .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.assertion.claim.aud", Kind::String, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.assertion.claim.exp.seconds", Kind::Int, "300", between(0, 86400), Low, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.assertion.claim.iss", Kind::String, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.assertion.claim.jti.include", Kind::Boolean, "false", ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.assertion.claim.nbf.seconds", Kind::Int, "60", between(0, 3600), Low, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.assertion.claim.sub", Kind::String, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.assertion.file", Kind::String, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.assertion.private.key.file", Kind::String, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.assertion.private.key.passphrase", Kind::Password, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.assertion.template.file", Kind::String, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.client.credentials.client.id", Kind::String, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.client.credentials.client.secret", Kind::Password, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.clock.skew.seconds", Kind::Int, "30", ANY, Low, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.expected.audience", Kind::List, "", ANY, High, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.expected.issuer", Kind::String, NONE, ANY, High, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.jwks.endpoint.refresh.ms", Kind::Long, "3600000", ANY, Low, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Kind::Long, "10000", ANY, Low, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Kind::Long, "100", ANY, Low, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.jwks.endpoint.url", Kind::String, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row(
        "sasl.oauthbearer.jwt.retriever.class",
        Kind::Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever",
        ANY,
        Medium,
        ReadOnly,
    )
    .later("Checking of OAuth bearer tokens."),
    row(
        "sasl.oauthbearer.jwt.validator.class",
        Kind::Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator",
        ANY,
        Medium,
        ReadOnly,
    )
    .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.scope", Kind::String, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.scope.claim.name", Kind::String, "scope", ANY, Low, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.sub.claim.name", Kind::String, "sub", ANY, Low, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.oauthbearer.token.endpoint.url", Kind::String, NONE, ANY, Medium, ReadOnly)
        .later("Checking of OAuth bearer tokens."),
    row("sasl.server.callback.handler.class", Kind::Class, NONE, ANY, Medium, ReadOnly)
        .later("Authentication of clients by SASL."),
    row("sasl.server.max.receive.size", Kind::Int, "524288", ANY, Medium, ReadOnly)
        .later("Authentication of clients by SASL."),
];
