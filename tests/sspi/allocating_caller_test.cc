// A client that lets the library allocate, in the call order and buffer shapes of a well-known HTTP
// library. It leaves the type of its output buffers open (SECBUFFER_EMPTY): one buffer in the first
// and the last leg, two in between. At the end it compares the attributes with what it requested.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <string>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

constexpr ULONG kAskedFor = ISC_REQ_SEQUENCE_DETECT | ISC_REQ_REPLAY_DETECT |
                            ISC_REQ_CONFIDENTIALITY | ISC_REQ_ALLOCATE_MEMORY | ISC_REQ_STREAM;

class AllocatingCallerTest : public testing::TestWithParam<ULONG> {
 protected:
  // One call; the token is copied and released.
  Bytes Call(PSecBufferDesc input, std::vector<SecBuffer> outputs) {
    SecBufferDesc out = {SECBUFFER_VERSION, static_cast<ULONG>(outputs.size()), outputs.data()};
    char target[] = "localhost";
    const bool first = !SecIsValidHandle(&client_.context);
    attributes_ = 0;
    client_.status = InitializeSecurityContextA(
        credential_.get(), first ? nullptr : &client_.context, target, kAskedFor, 0, 0, input, 0,
        first ? &client_.context : nullptr, &out, &attributes_, nullptr);
    Bytes token;
    for (const SecBuffer& buffer : outputs) {
      if (buffer.pvBuffer == nullptr) continue;
      const auto* bytes = static_cast<unsigned char*>(buffer.pvBuffer);
      if (buffer.BufferType == SECBUFFER_TOKEN) token.assign(bytes, bytes + buffer.cbBuffer);
      EXPECT_EQ(FreeContextBuffer(buffer.pvBuffer), SEC_E_OK);
    }
    return token;
  }
  Bytes FirstCall() { return Call(nullptr, {{0, SECBUFFER_EMPTY, nullptr}}); }
  // A leg with the bytes that were received; unused bytes stay in the inbox.
  Bytes LaterCall() {
    Bytes bytes = client_.inbox;
    SecBuffer inputs[2] = {{static_cast<ULONG>(bytes.size()), SECBUFFER_TOKEN, bytes.data()},
                           {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc input = {SECBUFFER_VERSION, 2, inputs};
    const Bytes token = Call(&input, {{0, SECBUFFER_TOKEN, nullptr},
                                      {0, SECBUFFER_ALERT, nullptr},
                                      {0, SECBUFFER_EMPTY, nullptr}});
    const ULONG unused = inputs[1].BufferType == SECBUFFER_EXTRA ? inputs[1].cbBuffer : 0;
    if (client_.status >= 0) client_.inbox.assign(bytes.end() - unused, bytes.end());
    return token;
  }
  void ExpectWhatWasAskedFor() const { EXPECT_EQ(attributes_ & kAskedFor, kAskedFor); }

  TestCredential credential_ = TestCredential::Client(GetParam());
  TestCredential server_credential_ = TestCredential::Server(GetParam());
  TestEnd client_{false};
  TestEnd server_{true};
  ULONG attributes_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Versions, AllocatingCallerTest,
                         testing::Values(ULONG{SP_PROT_TLS1_3}, ULONG{SP_PROT_TLS1_2}),
                         [](const auto& test) {
                           return std::string(test.param == SP_PROT_TLS1_3 ? "Tls12" : "Tls13");
                         });

TEST_P(AllocatingCallerTest, ConnectsExchangesAndCloses) {
  const ULONGLONG live = Statistics().cContextBuffers;
  server_.inbox = FirstCall();
  ASSERT_EQ(client_.status, SEC_I_CONTINUE_NEEDED);
  ASSERT_FALSE(server_.inbox.empty());
  ExpectWhatWasAskedFor();
  while (client_.status == SEC_I_CONTINUE_NEEDED) {
    Append(client_.inbox, server_.Leg(server_credential_.get()));
    ASSERT_GE(server_.status, 0);
    server_.inbox = LaterCall();
    ASSERT_GE(client_.status, 0);
    ExpectWhatWasAskedFor();
  }
  if (server_.status == SEC_I_CONTINUE_NEEDED) {
    Append(client_.inbox, server_.Leg(server_credential_.get()));
  }
  ASSERT_EQ(server_.status, SEC_E_OK);

  Append(server_.inbox, client_.Seal(ToBytes("GET /")));
  EXPECT_EQ(ToText(server_.Open(server_credential_.get())), "GET /");
  Append(client_.inbox, server_.Seal(ToBytes("200")));
  // A ticket, if there is one, goes through the same function in the same shapes.
  std::string received;
  while (received.empty()) {
    SecBuffer buffers[4] = {
        {static_cast<ULONG>(client_.inbox.size()), SECBUFFER_DATA, client_.inbox.data()},
        {0, SECBUFFER_EMPTY, nullptr},
        {0, SECBUFFER_EMPTY, nullptr},
        {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    const SECURITY_STATUS status = DecryptMessage(&client_.context, &message, 0, nullptr);
    ASSERT_TRUE(status == SEC_E_OK || status == SEC_I_RENEGOTIATE) << std::hex << status;
    if (status == SEC_E_OK) {
      received.assign(static_cast<const char*>(buffers[1].pvBuffer), buffers[1].cbBuffer);
      break;
    }
    ASSERT_EQ(buffers[3].BufferType, ULONG{SECBUFFER_EXTRA});
    const auto* extra = static_cast<unsigned char*>(buffers[3].pvBuffer);
    client_.inbox = Bytes(extra, extra + buffers[3].cbBuffer);
    LaterCall();
    ASSERT_EQ(client_.status, SEC_E_OK);
    ExpectWhatWasAskedFor();
  }
  EXPECT_EQ(received, "200");

  DWORD shutdown = SCHANNEL_SHUTDOWN;
  SecBuffer buffer = {sizeof(shutdown), SECBUFFER_TOKEN, &shutdown};
  SecBufferDesc desc = {SECBUFFER_VERSION, 1, &buffer};
  ASSERT_EQ(ApplyControlToken(&client_.context, &desc), SEC_E_OK);
  Append(server_.inbox, FirstCall());
  EXPECT_EQ(client_.status, SEC_E_OK);
  ExpectWhatWasAskedFor();
  server_.Open(server_credential_.get());
  EXPECT_EQ(server_.status, SEC_I_CONTEXT_EXPIRED);
  EXPECT_EQ(Statistics().cContextBuffers, live);
}

// Failures set the attribute, too, with or without an alert, even where the caller brings the
// buffers itself.
TEST_P(AllocatingCallerTest, EveryReturnTellsThatMemoryIsTheLibrarys) {
  server_.inbox = FirstCall();
  client_.inbox = {21, 3, 3, 0, 2, 2, 40};  // handshake_failure
  EXPECT_EQ(LaterCall(), Bytes());
  EXPECT_LT(client_.status, 0);
  EXPECT_EQ(attributes_ & ISC_RET_ALLOCATED_MEMORY, ULONG{ISC_RET_ALLOCATED_MEMORY});
  Bytes mine(64);
  std::vector<SecBuffer> outputs = {{64, SECBUFFER_TOKEN, mine.data()},
                                    {2, SECBUFFER_ALERT, mine.data()}};
  Call(nullptr, outputs);
  EXPECT_LT(client_.status, 0);
  EXPECT_EQ(attributes_ & ISC_RET_ALLOCATED_MEMORY, ULONG{ISC_RET_ALLOCATED_MEMORY});
}

// Without the flag an EMPTY output buffer cannot take a token.
TEST_P(AllocatingCallerTest, AnEmptyOutputBufferNeedsTheFlag) {
  SecBuffer output = {0, SECBUFFER_EMPTY, nullptr};
  SecBufferDesc out = {SECBUFFER_VERSION, 1, &output};
  char target[] = "localhost";
  EXPECT_EQ(InitializeSecurityContextA(credential_.get(), nullptr, target, ISC_REQ_STREAM, 0, 0,
                                       nullptr, 0, &client_.context, &out, &attributes_, nullptr),
            SEC_E_BUFFER_TOO_SMALL);
  EXPECT_EQ(output.pvBuffer, nullptr);
}

}  // namespace
}  // namespace ktlsim::test
