// Which certificate a server presents, as its client sees it: by name, by kind of key, by default;
// and what hostile server names lead to. The client is an unmodified libssl.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

Certificate::Ptr Named(const std::string& name, KeyType type = KeyType::kEcdsaP256) {
  return Certificate::SelfSigned(name, type).value();
}

// The leaf that the client saw; none: the handshake failed.
std::vector<std::uint8_t> LeafSeen(SSL* ssl) {
  X509* leaf = SSL_get0_peer_certificate(ssl);
  if (leaf == nullptr) return {};
  std::vector<std::uint8_t> der(static_cast<std::size_t>(i2d_X509(leaf, nullptr)));
  unsigned char* at = der.data();
  i2d_X509(leaf, &at);
  return der;
}

class ServerIdentityTest : public testing::TestWithParam<Version> {
 protected:
  std::shared_ptr<Endpoint> Server(std::vector<Certificate::Ptr> certificates,
                                   std::vector<ServerName> names = {}, bool strict = false) {
    EndpointOptions options;
    options.versions = Only(GetParam());
    options.certificates = std::move(certificates);
    options.server_names = std::move(names);
    options.strict_server_names = strict;
    return MakeServer(options);
  }

  // Connects for `name` (nullptr: without one). Returns the certificate that the client saw, or
  // none.
  Certificate::Ptr Connect(const std::shared_ptr<Endpoint>& server, const char* name,
                           const char* signatures = nullptr) {
    LibsslOptions options;
    options.versions = Only(GetParam());
    const ContextPtr context = MakeLibsslContext(Role::kClient, options);
    if (signatures != nullptr) {
      EXPECT_EQ(SSL_CTX_set1_sigalgs_list(context.get(), signatures), 1);
    }
    LibsslSide client(context.get(), Role::kClient);
    SSL_set_tlsext_host_name(client.ssl, name);
    OurSide ours(server);
    client.Advance();
    Move(client, ours);
    const bool done = RunHandshake(ours, client);
    last_ = ours.last;
    if (!done) return nullptr;
    const Certificate::Ptr presented = ours.connection->facts.local_certificate;
    EXPECT_EQ(ours.connection->facts.server_name, name != nullptr ? name : "");
    EXPECT_NE(presented, nullptr);
    EXPECT_TRUE(presented != nullptr && std::ranges::equal(LeafSeen(client.ssl), presented->leaf()))
        << "the server reports what the client saw";
    return presented;
  }

  StepResult last_;
};

TEST_P(ServerIdentityTest, TheNameChoosesTheCertificate) {
  const auto first = Named("a.test");
  const auto second = Named("b.test");
  const auto wildcard = Named("*.b.test");
  const auto exact = Named("x.b.test");
  const auto server = Server({first, second, wildcard, exact});
  EXPECT_EQ(Connect(server, "a.test"), first);
  EXPECT_EQ(Connect(server, "b.test"), second);
  EXPECT_EQ(Connect(server, "B.Test"), second);
  EXPECT_EQ(Connect(server, "b.test."), second);
  EXPECT_EQ(Connect(server, "y.b.test"), wildcard);
  EXPECT_EQ(Connect(server, "x.b.test"), exact);
  EXPECT_EQ(Connect(server, "x.y.b.test"), first) << "a wildcard is one label";
}

TEST_P(ServerIdentityTest, WithoutANameOrWithAnotherTheFirstIsPresented) {
  const auto first = Named("a.test");
  const auto server = Server({first, Named("b.test"), Named("b.test", KeyType::kRsa2048)});
  EXPECT_EQ(Connect(server, nullptr), first);
  EXPECT_EQ(Connect(server, "c.test"), first);
  EXPECT_EQ(Connect(server, "192.0.2.7"), first) << "an address is no name";
  EXPECT_EQ(Connect(server, nullptr, "RSA-PSS+SHA256"), nullptr)
      << "a certificate for another name is no default";
}

TEST_P(ServerIdentityTest, SignatureAlgorithmsChooseAmongThoseForOneName) {
  const auto ecdsa = Named("b.test");
  const auto rsa = Named("b.test", KeyType::kRsa2048);
  const auto server = Server({Named("a.test"), rsa, ecdsa});
  EXPECT_EQ(Connect(server, "b.test", "ECDSA+SHA256"), ecdsa);
  EXPECT_EQ(Connect(server, "b.test", "RSA-PSS+SHA256"), rsa);
  EXPECT_EQ(Connect(server, "a.test", "RSA-PSS+SHA256"), nullptr);
  EXPECT_EQ(last_.failure.category(), Category::kTls);
}

TEST_P(ServerIdentityTest, TheDefaultHasEveryKindOfKeyForItsName) {
  const auto ecdsa = Named("a.test");
  const auto rsa = Named("a.test", KeyType::kRsa2048);
  const auto server = Server({ecdsa, Named("b.test"), rsa});
  EXPECT_EQ(Connect(server, nullptr, "ECDSA+SHA256"), ecdsa);
  EXPECT_EQ(Connect(server, nullptr, "RSA-PSS+SHA256"), rsa);
}

TEST_P(ServerIdentityTest, OfOneKindForOneNameTheFirstIsPresented) {
  const auto first = Named("a.test");
  const auto server = Server({first, Named("a.test")});
  EXPECT_EQ(Connect(server, "a.test"), first);
  EXPECT_EQ(Connect(server, nullptr), first);
}

TEST_P(ServerIdentityTest, NamesOfTheCallersGoBeforeTheCertificates) {
  const auto first = Named("a.test");
  const auto second = Named("b.test");
  const auto server = Server({first, second}, {{"a.test", 1}, {"*.c.test", 1}, {"d.c.test", 0}});
  EXPECT_EQ(Connect(server, "a.test"), second);
  EXPECT_EQ(Connect(server, "b.test"), second);
  EXPECT_EQ(Connect(server, "x.c.test"), second);
  EXPECT_EQ(Connect(server, "d.c.test"), first);
}

TEST_P(ServerIdentityTest, StrictRefusesNamesItDoesNotKnow) {
  const auto first = Named("a.test");
  const auto server = Server({first, Named("b.test")}, {}, true);
  EXPECT_EQ(Connect(server, "a.test"), first);
  EXPECT_EQ(Connect(server, nullptr), first) << "no name asked for";
  const std::string longest(255, 'a');
  for (const char* name : {"c.test", "x.a.test", "test", "192.0.2.7", "a.test..", "*.test",
                           "a b.test", "::1", longest.c_str()}) {
    EXPECT_EQ(Connect(server, name), nullptr) << name;
    EXPECT_EQ(last_.sent_alert, FatalAlert(AlertDescription::kUnrecognizedName)) << name;
    EXPECT_EQ(last_.failure.code(), 112);
    EXPECT_STREQ(last_.failure.what(), "the client asked for a name that is not served here");
  }
}

TEST_P(ServerIdentityTest, BadNamesAndBadCertificatesAreRefusedWhenTheEndpointIsMade) {
  EndpointOptions options;
  options.certificates = {Named("a.test")};
  options.server_names = {{"a.test", 1}};
  EXPECT_EQ(Endpoint::Create(options).status().category(), Category::kContract);
  options.server_names = {{"a..test", 0}};
  EXPECT_EQ(Endpoint::Create(options).status().category(), Category::kContract);
  options.server_names = {};
  options.certificates.push_back(Certificate::FromDer(Named("b.test")->leaf()).value());
  EXPECT_EQ(Endpoint::Create(options).status().category(), Category::kContract) << "no key";
}

// A session belongs to the name it was made for; otherwise a certificate would count for a name
// that it is not for (RFC 6066 3).
TEST_P(ServerIdentityTest, ASessionIsNotResumedUnderAnotherName) {
  const auto server = Server({Named("a.test"), Named("b.test")});
  LibsslOptions options;
  options.versions = Only(GetParam());
  const ContextPtr context = MakeLibsslContext(Role::kClient, options);
  LibsslSide first(context.get(), Role::kClient);
  SSL_set_tlsext_host_name(first.ssl, "a.test");
  OurSide ours(server);
  ASSERT_TRUE(RunHandshake(ours, first) || RunHandshake(ours, first));
  Move(ours, first);
  static_cast<void>(first.Read());
  for (const char* name : {"b.test", "c.test", "a.test"}) {
    SSL_SESSION* session = SSL_get1_session(first.ssl);
    LibsslSide second(context.get(), Role::kClient);
    SSL_set_tlsext_host_name(second.ssl, name);
    SSL_set_session(second.ssl, session);
    SSL_SESSION_free(session);
    OurSide again(server);
    ASSERT_TRUE(RunHandshake(again, second)) << name;
    EXPECT_EQ(again.connection->facts.resumed, std::string(name) == "a.test") << name;
    SSL_set_shutdown(second.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
}

// Replaces the name in a ClientHello by `name`, which has the same length, or cuts it.
Buffer WithName(Buffer hello, const std::string& original, const std::string& name) {
  const auto bytes = std::as_bytes(std::span(original));
  const auto at = std::ranges::search(hello, bytes).begin();
  EXPECT_NE(at, hello.end());
  std::ranges::copy(std::as_bytes(std::span(name)), at);
  return hello;
}

TEST_P(ServerIdentityTest, AServerNameWithANulIsRefused) {
  const std::string original = "aaaaaa.test";
  for (const bool strict : {false, true}) {
    const auto server = Server({Named("a.test")}, {}, strict);
    for (const std::string& name :
         {std::string("a.test\0test", 11), std::string("aaaaaa.tes\0", 11),
          std::string("\0aaaaa.test", 11)}) {
      LibsslOptions options;
      options.versions = Only(GetParam());
      const ContextPtr context = MakeLibsslContext(Role::kClient, options);
      LibsslSide client(context.get(), Role::kClient);
      SSL_set_tlsext_host_name(client.ssl, original.c_str());
      client.Advance();
      OurSide ours(server);
      ours.inbox = WithName(client.Drain(), original, name);
      ours.Advance();
      EXPECT_EQ(ours.last.outcome, StepOutcome::kFailed);
      EXPECT_EQ(ours.last.sent_alert, FatalAlert(AlertDescription::kUnrecognizedName));
    }
  }
}

TEST_P(ServerIdentityTest, EveryChangedByteOfTheNameEndsInAnOutcome) {
  const std::string original = "a.test";
  const auto server = Server({Named("a.test"), Named("b.test")}, {}, true);
  LibsslOptions options;
  options.versions = Only(GetParam());
  const ContextPtr context = MakeLibsslContext(Role::kClient, options);
  LibsslSide client(context.get(), Role::kClient);
  SSL_set_tlsext_host_name(client.ssl, original.c_str());
  client.Advance();
  const Buffer hello = client.Drain();
  const auto name = std::ranges::search(hello, std::as_bytes(std::span(original)));
  const auto at = static_cast<std::size_t>(name.begin() - hello.begin());
  // The extension's type, its three lengths and the name's type come before it.
  for (std::size_t i = at - 9; i < at + original.size(); ++i) {
    for (int value = 0; value < 256; value += i < at ? 1 : 5) {
      Buffer changed = hello;
      changed[i] = static_cast<std::byte>(value);
      OurSide ours(server);
      ours.inbox = changed;
      ours.Advance();
      EXPECT_TRUE(ours.last.outcome == StepOutcome::kContinue ||
                  (ours.last.outcome == StepOutcome::kFailed && ours.last.sent_alert))
          << i << " " << value;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, ServerIdentityTest,
                         testing::Values(Version::kTls12, Version::kTls13));

}  // namespace
}  // namespace ktlsim::tls::test
