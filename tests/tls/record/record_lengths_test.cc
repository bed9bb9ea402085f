// Every length near a border, against the record layer of an unmodified libssl, in both directions,
// on every engine.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

class RecordLengthsTest : public testing::TestWithParam<std::tuple<CipherSuite, Engine>> {
 protected:
  void SetUp() override {
    const SuiteInfo* suite = FindSuite(static_cast<std::uint16_t>(std::get<0>(GetParam())));
    LibsslOptions libssl;
    libssl.versions = Only(suite->version);
    libssl.suite = suite->openssl_name;
    EndpointOptions options;
    options.cipher_suites = suite->standard_name;
    options.aead_factory = std::get<1>(GetParam()).factory;
    context = MakeLibsslContext(Role::kClient, libssl);
    ours.emplace(MakeServer(options));
    theirs.emplace(context.get(), Role::kClient);
    ASSERT_TRUE(RunHandshake(*ours, *theirs)) << ours->last.failure.ToString();
    theirs->Read();  // tickets
  }

  // Header, data and trailer in one piece, as callers of EncryptMessage lay them out.
  void WriteContiguous(const std::string& text) {
    RecordWriter& writer = ours->connection->writer;
    const std::size_t header = writer.header_bytes();
    Buffer record(header + text.size() + writer.trailer_bytes());
    const std::span<std::byte> all(record);
    std::ranges::copy(std::as_bytes(std::span(text)), record.begin() + static_cast<long>(header));
    ASSERT_EQ(writer
                  .Seal(ContentType::kApplicationData, all.first(header),
                        all.subspan(header, text.size()), all.subspan(header + text.size()))
                  .outcome,
              SealOutcome::kSealed);
    ours->outbox.insert(ours->outbox.end(), record.begin(), record.end());
  }

  void ExchangeOneOf(std::size_t size) {
    const std::string text = Pattern(size, static_cast<unsigned>(size));
    for (const bool contiguous : {true, false}) {
      contiguous ? WriteContiguous(text) : ours->Write(text);
      Move(*ours, *theirs);
      ASSERT_EQ(theirs->Read(), text) << size << (contiguous ? " contiguous" : " scattered");
    }
    if (size == 0) return;  // libssl sends no empty records
    theirs->Write(text);
    Move(*theirs, *ours);
    ASSERT_EQ(ours->Read(), text) << size;
  }

  ContextPtr context;
  std::optional<OurSide> ours;
  std::optional<LibsslSide> theirs;
};

TEST_P(RecordLengthsTest, AgreesWithLibsslOnShortRecords) {
  for (std::size_t size = 0; size <= 300; ++size) ASSERT_NO_FATAL_FAILURE(ExchangeOneOf(size));
}

TEST_P(RecordLengthsTest, AgreesWithLibsslAroundTheLongestRecord) {
  for (std::size_t size = kFragmentBytesMax - 40; size <= kFragmentBytesMax; ++size) {
    ASSERT_NO_FATAL_FAILURE(ExchangeOneOf(size));
  }
  // Two records, cut by the sender.
  const std::string text = Pattern(kFragmentBytesMax + 1);
  theirs->Write(text);
  Move(*theirs, *ours);
  EXPECT_EQ(ours->Read(), text);
}

INSTANTIATE_TEST_SUITE_P(Suites, RecordLengthsTest,
                         testing::Combine(testing::Values(CipherSuite::kAes128GcmSha256,
                                                          CipherSuite::kAes256GcmSha384,
                                                          CipherSuite::kChaCha20Poly1305Sha256,
                                                          CipherSuite::kEcdheEcdsaAes128GcmSha256,
                                                          CipherSuite::kEcdheEcdsaAes256GcmSha384,
                                                          CipherSuite::kEcdheEcdsaChaCha20Poly1305),
                                          testing::ValuesIn(Engines())),
                         [](const auto& test) {
                           const auto id = static_cast<std::uint16_t>(std::get<0>(test.param));
                           return std::string(FindSuite(id)->standard_name) + "_" +
                                  std::get<1>(test.param).name;
                         });

}  // namespace
}  // namespace ktlsim::tls::test
