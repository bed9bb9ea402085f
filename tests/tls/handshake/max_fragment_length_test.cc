// max_fragment_length (RFC 6066 4): a server that agrees to it obeys it, in its records, in the
// reported sizes and in a resumed session; and so must its client.
#include <string>
#include <tuple>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

std::size_t LongestRecord(std::span<const std::byte> wire) {
  std::size_t longest = 0;
  while (wire.size() >= kRecordHeaderBytes) {
    const std::size_t length =
        std::to_integer<std::size_t>(wire[3]) << 8 | std::to_integer<std::size_t>(wire[4]);
    longest = std::max(longest, length);
    wire = wire.subspan(kRecordHeaderBytes + length);
  }
  return longest;
}

using Case = std::tuple<Version, std::uint8_t>;

class MaxFragmentLengthTest : public testing::TestWithParam<Case> {
 protected:
  static Version version() { return std::get<0>(GetParam()); }
  static std::uint8_t code() { return std::get<1>(GetParam()); }
  static std::size_t bytes() { return std::size_t{256} << code(); }

  MaxFragmentLengthTest() {
    LibsslOptions libssl;
    libssl.versions = Only(version());
    context_ = MakeLibsslContext(Role::kClient, libssl);
    EndpointOptions options;
    options.versions = Only(version());
    endpoint_ = MakeServer(options);
  }

  void ExpectExchange(OurSide& server, LibsslSide& client) const {
    EXPECT_EQ(server.connection->writer.max_fragment(), bytes());
    const std::string text = Pattern(20000);
    server.Write(text);
    EXPECT_LE(LongestRecord(server.outbox), bytes() + 24);
    Move(server, client);
    EXPECT_EQ(client.Read(), text);
    client.Write(text);
    Move(client, server);
    EXPECT_EQ(server.Read(), text);
  }

  ContextPtr context_;
  std::shared_ptr<Endpoint> endpoint_;
};

TEST_P(MaxFragmentLengthTest, IsKeptToInANewSessionAndInAResumedOne) {
  SSL_SESSION* session = nullptr;
  for (int i = 0; i < 2; ++i) {
    OurSide server(endpoint_);
    LibsslSide client(context_.get(), Role::kClient);
    SSL_set_tlsext_max_fragment_length(client.ssl, code());
    if (session != nullptr) SSL_set_session(client.ssl, session);
    SSL_SESSION_free(session);
    ASSERT_TRUE(RunHandshake(server, client)) << server.last.failure.ToString();
    EXPECT_EQ(SSL_SESSION_get_max_fragment_length(SSL_get_session(client.ssl)), code());
    EXPECT_EQ(server.connection->facts.resumed, i == 1);
    ExpectExchange(server, client);
    SSL_shutdown(client.ssl);
    session = SSL_get1_session(client.ssl);
  }
  SSL_SESSION_free(session);
}

TEST_P(MaxFragmentLengthTest, ARecordOverItIsNotSealed) {
  OurSide server(endpoint_);
  LibsslSide client(context_.get(), Role::kClient);
  SSL_set_tlsext_max_fragment_length(client.ssl, code());
  ASSERT_TRUE(RunHandshake(server, client));
  RecordWriter& writer = server.connection->writer;
  Buffer header(writer.header_bytes());
  Buffer data(bytes() + 1);
  Buffer trailer(writer.trailer_bytes());
  const std::uint64_t before = writer.sequence_number();
  EXPECT_EQ(writer.Seal(ContentType::kApplicationData, header, data, trailer).outcome,
            SealOutcome::kBadLength);
  EXPECT_EQ(writer.sequence_number(), before);
  ExpectExchange(server, client);
}

INSTANTIATE_TEST_SUITE_P(Codes, MaxFragmentLengthTest,
                         testing::Combine(testing::Values(Version::kTls12, Version::kTls13),
                                          testing::Values(TLSEXT_max_fragment_length_512,
                                                          TLSEXT_max_fragment_length_1024,
                                                          TLSEXT_max_fragment_length_2048,
                                                          TLSEXT_max_fragment_length_4096)));

// The same keys in a writer without the limit and a reader with it.
TEST(MaxFragmentLengthReaderTest, ARecordOverItIsRecordOverflow) {
  for (const CipherSuite suite :
       {CipherSuite::kAes128GcmSha256, CipherSuite::kEcdheEcdsaAes128GcmSha256,
        CipherSuite::kEcdheEcdsaChaCha20Poly1305}) {
    const SuiteInfo* info = FindSuite(static_cast<std::uint16_t>(suite));
    for (const std::size_t size : {512U, 513U}) {
      const auto state = [&](std::size_t fragment_bytes_max) {
        ProtectionState made;
        made.suite = info;
        made.fragment_bytes_max = fragment_bytes_max;
        made.traffic_secret = Secret(std::vector<std::uint8_t>(HashBytes(info->hash), 42));
        made.keys.key = Secret(std::vector<std::uint8_t>(info->key_bytes, 42));
        made.keys.iv = Secret(std::vector<std::uint8_t>(kAeadNonceBytes, 43));
        return made;
      };
      RecordWriter writer;
      RecordReader reader;
      ASSERT_TRUE(writer.Init(state(kFragmentBytesMax)));
      ASSERT_TRUE(reader.Init(state(512)));
      Buffer record(writer.header_bytes() + size + writer.trailer_bytes());
      const std::span<std::byte> all(record);
      ASSERT_EQ(
          writer
              .Seal(ContentType::kApplicationData, all.first(writer.header_bytes()),
                    all.subspan(writer.header_bytes(), size), all.last(writer.trailer_bytes()))
              .outcome,
          SealOutcome::kSealed);
      const OpenResult opened = reader.Open(record);
      if (size == 512) {
        EXPECT_EQ(opened.outcome, OpenResult::Outcome::kOpened);
        EXPECT_EQ(opened.fragment.size(), size);
      } else {
        EXPECT_EQ(opened.outcome, OpenResult::Outcome::kFailed);
        EXPECT_EQ(opened.alert, FatalAlert(AlertDescription::kRecordOverflow));
      }
    }
  }
}

// Our own client does not offer the extension, so nothing is agreed on.
TEST(MaxFragmentLengthClientTest, OursDoesNotOfferIt) {
  OurSide client(MakeClient());
  OurSide server(MakeServer());
  ASSERT_TRUE(RunHandshake(client, server));
  EXPECT_EQ(client.connection->writer.max_fragment(), kFragmentBytesMax);
  EXPECT_EQ(server.connection->writer.max_fragment(), kFragmentBytesMax);
}

}  // namespace
}  // namespace ktlsim::tls::test
