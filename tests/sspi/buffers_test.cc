// The buffer rules of EncryptMessage and DecryptMessage, row by row.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

struct VersionCase {
  const char* name;
  ULONG disabled;
  ULONG header;
  ULONG trailer;
};

void PrintTo(const VersionCase& version, std::ostream* out) { *out << version.name; }

class RecordBuffersTest : public testing::TestWithParam<VersionCase> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(RunHandshake(client_, client_credential_.get(), server_, server_credential_.get()));
  }

  // DecryptMessage on `wire` in place, in the usual four buffers.
  SECURITY_STATUS Decrypt(Bytes& wire) {
    buffers_ = {SecBuffer{static_cast<ULONG>(wire.size()), SECBUFFER_DATA, wire.data()},
                SecBuffer{0, SECBUFFER_EMPTY, nullptr}, SecBuffer{0, SECBUFFER_EMPTY, nullptr},
                SecBuffer{0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers_.data()};
    return DecryptMessage(&server_.context, &message, 0, nullptr);
  }
  SECURITY_STATUS DecryptWith(std::vector<SecBuffer> buffers) {
    SecBufferDesc message = {SECBUFFER_VERSION, static_cast<ULONG>(buffers.size()), buffers.data()};
    return DecryptMessage(&server_.context, &message, 0, nullptr);
  }
  static std::string Text(const SecBuffer& buffer) {
    return std::string(static_cast<const char*>(buffer.pvBuffer), buffer.cbBuffer);
  }
  // The connection still works: nothing above has used a sequence number.
  void ExpectUnharmed() {
    Append(server_.inbox, client_.Seal(ToBytes("to server")));
    EXPECT_EQ(ToText(server_.Open(server_credential_.get())), "to server");
    EXPECT_EQ(server_.status, SEC_E_OK);
  }

  TestCredential server_credential_ = TestCredential::Server(GetParam().disabled);
  TestCredential client_credential_ = TestCredential::Client(GetParam().disabled);
  TestEnd client_{false};
  TestEnd server_{true};
  std::array<SecBuffer, 4> buffers_{};
};

INSTANTIATE_TEST_SUITE_P(Versions, RecordBuffersTest,
                         testing::Values(VersionCase{"Tls12", SP_PROT_TLS1_3, 13, 16},
                                         VersionCase{"Tls13", SP_PROT_TLS1_2, 5, 17}),
                         [](const auto& test) { return std::string(test.param.name); });

constexpr SecBuffer kEmpty = {0, SECBUFFER_EMPTY, nullptr};

// ---- DecryptMessage

TEST_P(RecordBuffersTest, DecryptNeedsOneDataAndThreeEmptyBuffers) {
  Bytes wire = client_.Seal(ToBytes("secret"));
  const Bytes before = wire;
  const SecBuffer data = {static_cast<ULONG>(wire.size()), SECBUFFER_DATA, wire.data()};
  EXPECT_EQ(DecryptWith({}), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(DecryptWith({data}), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(DecryptWith({data, kEmpty}), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(DecryptWith({data, kEmpty, kEmpty}), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(DecryptWith({kEmpty, kEmpty, kEmpty, kEmpty}), SEC_E_INVALID_TOKEN) << "no DATA";
  EXPECT_EQ(DecryptWith({data, data, kEmpty, kEmpty}), SEC_E_INVALID_TOKEN) << "two DATA";
  EXPECT_EQ(DecryptWith({data, data, kEmpty, kEmpty, kEmpty}), SEC_E_INVALID_TOKEN);
  const SecBuffer token = {0, SECBUFFER_TOKEN, nullptr};
  EXPECT_EQ(DecryptWith({data, token, kEmpty, kEmpty}), SEC_E_INVALID_TOKEN) << "two EMPTY";
  SecBufferDesc none = {SECBUFFER_VERSION, 4, nullptr};
  EXPECT_LT(DecryptMessage(&server_.context, &none, 0, nullptr), 0);
  EXPECT_LT(DecryptMessage(&server_.context, nullptr, 0, nullptr), 0);
  EXPECT_EQ(wire, before) << "untouched";
  ASSERT_EQ(Decrypt(wire), SEC_E_OK) << "nothing was consumed";
  EXPECT_EQ(Text(buffers_[1]), "secret");
}

TEST_P(RecordBuffersTest, DecryptToleratesDataAnywhere) {
  for (std::size_t at = 0; at < 4; ++at) {
    Bytes wire = client_.Seal(ToBytes("anywhere"));
    std::vector<SecBuffer> buffers(4, kEmpty);
    buffers[at] = {static_cast<ULONG>(wire.size()), SECBUFFER_DATA, wire.data()};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers.data()};
    ASSERT_EQ(DecryptMessage(&server_.context, &message, 0, nullptr), SEC_E_OK) << at;
    bool found = false;
    for (const SecBuffer& buffer : buffers) {
      if (buffer.BufferType != SECBUFFER_DATA) continue;
      found = true;
      EXPECT_EQ(Text(buffer), "anywhere");
    }
    EXPECT_TRUE(found);
  }
}

TEST_P(RecordBuffersTest, DecryptedRecordIsHeaderDataTrailerEmpty) {
  Bytes wire = client_.Seal(ToBytes("plain"));
  ULONG qop = 99;
  buffers_ = {SecBuffer{static_cast<ULONG>(wire.size()), SECBUFFER_DATA, wire.data()}, kEmpty,
              kEmpty, kEmpty};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers_.data()};
  ASSERT_EQ(DecryptMessage(&server_.context, &message, 0, &qop), SEC_E_OK);
  EXPECT_EQ(qop, 0U);
  EXPECT_EQ(buffers_[0].BufferType, ULONG{SECBUFFER_STREAM_HEADER});
  EXPECT_EQ(buffers_[0].cbBuffer, GetParam().header);
  EXPECT_EQ(buffers_[0].pvBuffer, wire.data()) << "in place";
  EXPECT_EQ(buffers_[1].BufferType, ULONG{SECBUFFER_DATA});
  EXPECT_EQ(Text(buffers_[1]), "plain");
  EXPECT_EQ(buffers_[2].BufferType, ULONG{SECBUFFER_STREAM_TRAILER});
  EXPECT_EQ(buffers_[2].cbBuffer, GetParam().trailer);
  EXPECT_EQ(buffers_[3].BufferType, ULONG{SECBUFFER_EMPTY});
  EXPECT_EQ(buffers_[3].cbBuffer, 0U);
}

TEST_P(RecordBuffersTest, DecryptOpensOneRecordAndLeavesTheRestInNumberThree) {
  Bytes wire;
  std::vector<std::size_t> ends;
  for (const char* text : {"one", "two", "three"}) {
    Append(wire, client_.Seal(ToBytes(text)));
    ends.push_back(wire.size());
  }
  const Bytes original = wire;
  ASSERT_EQ(Decrypt(wire), SEC_E_OK);
  EXPECT_EQ(Text(buffers_[1]), "one");
  ASSERT_EQ(buffers_[3].BufferType, ULONG{SECBUFFER_EXTRA});
  EXPECT_EQ(buffers_[3].pvBuffer, wire.data() + ends[0]) << "a valid pointer into the input";
  EXPECT_EQ(buffers_[3].cbBuffer, wire.size() - ends[0]);
  EXPECT_TRUE(std::equal(wire.begin() + static_cast<std::ptrdiff_t>(ends[0]), wire.end(),
                         original.begin() + static_cast<std::ptrdiff_t>(ends[0])))
      << "the rest is untouched";
  for (const char* text : {"two", "three"}) {
    Bytes rest(static_cast<unsigned char*>(buffers_[3].pvBuffer),
               static_cast<unsigned char*>(buffers_[3].pvBuffer) + buffers_[3].cbBuffer);
    wire = rest;
    ASSERT_EQ(Decrypt(wire), SEC_E_OK);
    EXPECT_EQ(Text(buffers_[1]), text);
  }
  EXPECT_EQ(buffers_[3].BufferType, ULONG{SECBUFFER_EMPTY});
}

TEST_P(RecordBuffersTest, EveryCutIsIncompleteAndTellsWhatIsMissing) {
  const Bytes record = client_.Seal(ToBytes("cut me at every length"));
  for (std::size_t cut = 0; cut < record.size(); ++cut) {
    Bytes wire(record.begin(), record.begin() + static_cast<std::ptrdiff_t>(cut));
    wire.shrink_to_fit();
    const Bytes before = wire;
    ASSERT_EQ(Decrypt(wire), SEC_E_INCOMPLETE_MESSAGE) << cut;
    ASSERT_EQ(wire, before);
    ASSERT_EQ(buffers_[0].BufferType, ULONG{SECBUFFER_MISSING});
    ASSERT_EQ(buffers_[1].BufferType, ULONG{SECBUFFER_MISSING}) << "the first EMPTY too";
    ASSERT_EQ(buffers_[0].cbBuffer, buffers_[1].cbBuffer);
    const std::size_t expected = cut < 5 ? 5 - cut : record.size() - cut;
    ASSERT_EQ(buffers_[0].cbBuffer, expected) << cut;
    ASSERT_EQ(buffers_[2].BufferType, ULONG{SECBUFFER_EMPTY});
    ASSERT_EQ(buffers_[3].BufferType, ULONG{SECBUFFER_EMPTY});
  }
  Bytes wire = record;
  ASSERT_EQ(Decrypt(wire), SEC_E_OK);
  EXPECT_EQ(Text(buffers_[1]), "cut me at every length");
}

TEST_P(RecordBuffersTest, CutRecordBehindAWholeOneIsExtraThenIncomplete) {
  Bytes wire = client_.Seal(ToBytes("whole"));
  const Bytes second = client_.Seal(ToBytes("cut"));
  wire.insert(wire.end(), second.begin(), second.begin() + 7);
  ASSERT_EQ(Decrypt(wire), SEC_E_OK);
  EXPECT_EQ(buffers_[3].cbBuffer, 7U);
  Bytes rest(second.begin(), second.begin() + 7);
  ASSERT_EQ(Decrypt(rest), SEC_E_INCOMPLETE_MESSAGE);
  EXPECT_EQ(buffers_[0].cbBuffer, second.size() - 7);
  rest = second;
  ASSERT_EQ(Decrypt(rest), SEC_E_OK);
  EXPECT_EQ(Text(buffers_[1]), "cut");
}

TEST_P(RecordBuffersTest, EmptyRecordIsOkWithNoData) {
  Bytes wire = client_.Seal({});
  EXPECT_EQ(wire.size(), GetParam().header + GetParam().trailer);
  ASSERT_EQ(Decrypt(wire), SEC_E_OK);
  EXPECT_EQ(buffers_[1].BufferType, ULONG{SECBUFFER_DATA});
  EXPECT_EQ(buffers_[1].cbBuffer, 0U);
}

TEST_P(RecordBuffersTest, EveryFlippedByteIsRefusedAndEndsTheContext) {
  const Bytes probe = client_.Seal(ToBytes("flip"));
  Bytes first = probe;
  ASSERT_EQ(Decrypt(first), SEC_E_OK);
  for (std::size_t at = 5; at < probe.size(); at += 3) {
    TestEnd client(false);
    TestEnd server(true);
    ASSERT_TRUE(RunHandshake(client, client_credential_.get(), server, server_credential_.get()));
    server.inbox = client.Seal(ToBytes("flip"));
    server.inbox[at] = static_cast<unsigned char>(server.inbox[at] ^ 0x10);
    EXPECT_EQ(server.Open(server_credential_.get()), Bytes()) << "no plaintext";
    EXPECT_EQ(server.status, SEC_E_MESSAGE_ALTERED) << at;
    server.inbox = client.Seal(ToBytes("again"));
    EXPECT_EQ(server.Open(server_credential_.get()), Bytes());
    EXPECT_LT(server.status, 0) << "it opens no record any more";
    EXPECT_NE(server.status, SEC_E_INCOMPLETE_MESSAGE);
  }
}

// ---- EncryptMessage

TEST_P(RecordBuffersTest, EncryptTellsActualSizesAndTakesScatteredBuffers) {
  Bytes header(GetParam().header + 20);
  Bytes data = ToBytes("scattered");
  Bytes trailer(GetParam().trailer + 20);
  std::array<SecBuffer, 4> buffers = {
      SecBuffer{static_cast<ULONG>(header.size()), SECBUFFER_STREAM_HEADER, header.data()},
      SecBuffer{static_cast<ULONG>(data.size()), SECBUFFER_DATA, data.data()},
      SecBuffer{static_cast<ULONG>(trailer.size()), SECBUFFER_STREAM_TRAILER, trailer.data()},
      kEmpty};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers.data()};
  ASSERT_EQ(EncryptMessage(&client_.context, 0, &message, 0), SEC_E_OK);
  EXPECT_EQ(buffers[0].cbBuffer, GetParam().header);
  EXPECT_EQ(buffers[1].cbBuffer, 9U);
  EXPECT_EQ(buffers[2].cbBuffer, GetParam().trailer);
  header.resize(buffers[0].cbBuffer);
  trailer.resize(buffers[2].cbBuffer);
  for (const Bytes* part : {&header, &data, &trailer}) Append(server_.inbox, *part);
  EXPECT_EQ(ToText(server_.Open(server_credential_.get())), "scattered");
}

TEST_P(RecordBuffersTest, EncryptTakesTokensForHeaderAndTrailer) {
  Bytes record(GetParam().header + 5 + GetParam().trailer, 'x');
  std::array<SecBuffer, 4> buffers = {
      SecBuffer{GetParam().header, SECBUFFER_TOKEN, record.data()},
      SecBuffer{5, SECBUFFER_DATA, record.data() + GetParam().header},
      SecBuffer{GetParam().trailer, SECBUFFER_TOKEN, record.data() + GetParam().header + 5},
      kEmpty};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers.data()};
  ASSERT_EQ(EncryptMessage(&client_.context, 0, &message, 0), SEC_E_OK);
  Append(server_.inbox, record);
  EXPECT_EQ(ToText(server_.Open(server_credential_.get())), "xxxxx");
}

TEST_P(RecordBuffersTest, EncryptRefusesTooSmallHeaderOrTrailerAndUsesNoSequenceNumber) {
  for (const bool small_header : {false, true}) {
    Bytes header(GetParam().header - (small_header ? 1U : 0U));
    Bytes data = ToBytes("data");
    Bytes trailer(GetParam().trailer - (small_header ? 0U : 1U));
    std::array<SecBuffer, 4> buffers = {
        SecBuffer{static_cast<ULONG>(header.size()), SECBUFFER_STREAM_HEADER, header.data()},
        SecBuffer{static_cast<ULONG>(data.size()), SECBUFFER_DATA, data.data()},
        SecBuffer{static_cast<ULONG>(trailer.size()), SECBUFFER_STREAM_TRAILER, trailer.data()},
        kEmpty};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers.data()};
    EXPECT_EQ(EncryptMessage(&client_.context, 0, &message, 0), SEC_E_BUFFER_TOO_SMALL);
    EXPECT_EQ(ToText(data), "data") << "not half encrypted";
  }
  ExpectUnharmed();
}

TEST_P(RecordBuffersTest, EncryptRefusesMessagesWithoutData) {
  Bytes room(64);
  const SecBuffer header = {GetParam().header, SECBUFFER_STREAM_HEADER, room.data()};
  const SecBuffer trailer = {GetParam().trailer, SECBUFFER_STREAM_TRAILER, room.data() + 32};
  for (std::vector<SecBuffer> buffers : {std::vector<SecBuffer>{},
                                         {header},
                                         {header, trailer, kEmpty, kEmpty},
                                         {kEmpty, kEmpty, kEmpty, kEmpty}}) {
    SecBufferDesc message = {SECBUFFER_VERSION, static_cast<ULONG>(buffers.size()), buffers.data()};
    EXPECT_EQ(EncryptMessage(&client_.context, 0, &message, 0), SEC_E_INVALID_TOKEN);
  }
  EXPECT_LT(EncryptMessage(&client_.context, 0, nullptr, 0), 0);
  ExpectUnharmed();
}

TEST_P(RecordBuffersTest, ASizeWithoutMemoryIsRefused) {
  Bytes room(64);
  SecBuffer buffers[4] = {{GetParam().header, SECBUFFER_STREAM_HEADER, room.data()},
                          {20, SECBUFFER_DATA, nullptr},
                          {GetParam().trailer, SECBUFFER_STREAM_TRAILER, room.data() + 32},
                          kEmpty};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
  EXPECT_EQ(EncryptMessage(&client_.context, 0, &message, 0), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(EncryptMessage(&client_.context, SECQOP_WRAP_OOB_DATA, &message, 0),
            SEC_E_INVALID_TOKEN);
  EXPECT_EQ(room, Bytes(64));
  EXPECT_EQ(DecryptWith({{20, SECBUFFER_DATA, nullptr}, kEmpty, kEmpty, kEmpty}),
            SEC_E_INVALID_TOKEN);
  ExpectUnharmed();
}

TEST_P(RecordBuffersTest, EncryptRefusesUnknownQualityOfProtection) {
  for (const ULONG qop : {1U, 0x80000001U, 0x20000000U}) {
    EXPECT_EQ(client_.Seal(ToBytes("x"), qop), Bytes());
    EXPECT_EQ(client_.status, SEC_E_QOP_NOT_SUPPORTED);
  }
  ExpectUnharmed();
}

TEST_P(RecordBuffersTest, EncryptRefusesOversizeAndUsesNoSequenceNumber) {
  EXPECT_EQ(client_.Seal(Bytes(16385, 'x')), Bytes());
  EXPECT_EQ(client_.status, SEC_E_ENCRYPT_FAILURE);
  EXPECT_EQ(client_.Seal(Bytes(100000, 'x')), Bytes());
  EXPECT_EQ(client_.status, SEC_E_ENCRYPT_FAILURE);
  EXPECT_EQ(client_.Seal(Bytes(16384, 'x')).size(),
            16384U + GetParam().header + GetParam().trailer);
}

TEST_P(RecordBuffersTest, OutOfBandDataIsAnAlertOfTwoBytes) {
  for (const std::size_t size : {0U, 1U, 3U}) {
    EXPECT_EQ(client_.Seal(Bytes(size, 1), SECQOP_WRAP_OOB_DATA), Bytes());
    EXPECT_EQ(client_.status, SEC_E_INVALID_TOKEN) << size;
  }
  ExpectUnharmed();
  Append(server_.inbox, client_.Seal({2, 42}, SECQOP_WRAP_OOB_DATA));
  server_.Open(server_credential_.get());
  EXPECT_EQ(server_.status, SEC_E_CERT_UNKNOWN) << "bad_certificate, by the documented table";
}

TEST_P(RecordBuffersTest, RecordFunctionsNeedALiveEstablishedContext) {
  Bytes wire(64);
  SecBuffer data = {64, SECBUFFER_DATA, wire.data()};
  std::array<SecBuffer, 4> buffers = {data, kEmpty, kEmpty, kEmpty};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers.data()};
  EXPECT_EQ(EncryptMessage(nullptr, 0, &message, 0), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(DecryptMessage(nullptr, &message, 0, nullptr), SEC_E_INVALID_HANDLE);
  TestEnd early(false);
  early.Leg(client_credential_.get());
  EXPECT_EQ(EncryptMessage(&early.context, 0, &message, 0), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(DecryptMessage(&early.context, &message, 0, nullptr), SEC_E_INVALID_HANDLE);
}

}  // namespace
}  // namespace ktlsim::test
