// The buffer rules of InitializeSecurityContext and AcceptSecurityContext, row by row.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

constexpr SecBuffer kEmpty = {0, SECBUFFER_EMPTY, nullptr};

class LegBuffersTest : public testing::TestWithParam<ULONG> {
 protected:
  SecBuffer Token(Bytes& bytes) {
    return {static_cast<ULONG>(bytes.size()), SECBUFFER_TOKEN, bytes.data()};
  }
  // A client leg with any buffers; null pointers are passed as they are.
  SECURITY_STATUS Client(std::vector<SecBuffer>* input, std::vector<SecBuffer>* output,
                         ULONG flags = ISC_REQ_STREAM | ISC_REQ_USE_SUPPLIED_CREDS) {
    SecBufferDesc in = {SECBUFFER_VERSION, input == nullptr ? 0 : Size(*input),
                        input == nullptr ? nullptr : input->data()};
    SecBufferDesc out = {SECBUFFER_VERSION, output == nullptr ? 0 : Size(*output),
                         output == nullptr ? nullptr : output->data()};
    const bool first = !SecIsValidHandle(&client_.context);
    char target[] = "localhost";
    return InitializeSecurityContextA(client_credential_.get(), first ? nullptr : &client_.context,
                                      target, flags, 0, SECURITY_NATIVE_DREP,
                                      input == nullptr ? nullptr : &in, 0, &client_.context,
                                      output == nullptr ? nullptr : &out, &attributes_, nullptr);
  }
  SECURITY_STATUS Server(std::vector<SecBuffer>* input, std::vector<SecBuffer>* output,
                         ULONG flags = ASC_REQ_STREAM) {
    SecBufferDesc in = {SECBUFFER_VERSION, input == nullptr ? 0 : Size(*input),
                        input == nullptr ? nullptr : input->data()};
    SecBufferDesc out = {SECBUFFER_VERSION, output == nullptr ? 0 : Size(*output),
                         output == nullptr ? nullptr : output->data()};
    const bool first = !SecIsValidHandle(&server_.context);
    return AcceptSecurityContext(server_credential_.get(), first ? nullptr : &server_.context,
                                 input == nullptr ? nullptr : &in, flags, 0, &server_.context,
                                 output == nullptr ? nullptr : &out, &attributes_, nullptr);
  }
  static ULONG Size(const std::vector<SecBuffer>& buffers) {
    return static_cast<ULONG>(buffers.size());
  }
  // Client and server complete the handshake from where they are; data flows.
  void FinishHandshake() {
    for (int round = 0; round < 4; ++round) {
      if (!server_.inbox.empty() && server_.status != SEC_E_OK) {
        Append(client_.inbox, server_.Leg(server_credential_.get()));
        ASSERT_GE(server_.status, 0) << std::hex << server_.status;
      }
      if (!client_.inbox.empty() && client_.status != SEC_E_OK) {
        Append(server_.inbox, client_.Leg(client_credential_.get()));
        ASSERT_GE(client_.status, 0) << std::hex << client_.status;
      }
    }
    ASSERT_EQ(client_.status, SEC_E_OK);
    ASSERT_EQ(server_.status, SEC_E_OK);
    Append(server_.inbox, client_.Seal(ToBytes("ping")));
    EXPECT_EQ(ToText(server_.Open(server_credential_.get())), "ping");
  }

  TestCredential server_credential_ = TestCredential::Server(GetParam());
  TestCredential client_credential_ = TestCredential::Client(GetParam());
  TestEnd client_{false};
  TestEnd server_{true};
  ULONG attributes_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Versions, LegBuffersTest,
                         testing::Values(ULONG{SP_PROT_TLS1_3}, ULONG{SP_PROT_TLS1_2}),
                         [](const auto& test) {
                           return test.param == SP_PROT_TLS1_3 ? std::string("Tls12")
                                                               : std::string("Tls13");
                         });

TEST_P(LegBuffersTest, FirstClientLegTakesNoInputOrOneEmptyBuffer) {
  Bytes memory(16384);
  for (const bool empty : {false, true}) {
    std::vector<SecBuffer> input = {kEmpty};
    std::vector<SecBuffer> output = {Token(memory)};
    EXPECT_EQ(Client(empty ? &input : nullptr, &output), SEC_I_CONTINUE_NEEDED);
    EXPECT_GT(output[0].cbBuffer, 50U);
    EXPECT_EQ(DeleteSecurityContext(&client_.context), SEC_E_OK);
    SecInvalidateHandle(&client_.context);
  }
}

TEST_P(LegBuffersTest, WithoutOutputNothingStarts) {
  std::vector<SecBuffer> input = {kEmpty};
  EXPECT_EQ(Client(&input, nullptr), SEC_E_INVALID_TOKEN);
  EXPECT_FALSE(SecIsValidHandle(&client_.context));
}

TEST_P(LegBuffersTest, ZeroSizedOutputWithoutAllocationIsInsufficientMemory) {
  Bytes memory(64);
  for (const ULONG type : {ULONG{SECBUFFER_TOKEN}, ULONG{SECBUFFER_ALERT}}) {
    for (void* pointer : {static_cast<void*>(nullptr), static_cast<void*>(memory.data())}) {
      Bytes room(16384);
      std::vector<SecBuffer> output = {{0, type, pointer}};
      if (type == SECBUFFER_ALERT) output.insert(output.begin(), Token(room));
      EXPECT_EQ(Client(nullptr, &output), SEC_E_INSUFFICIENT_MEMORY);
      EXPECT_FALSE(SecIsValidHandle(&client_.context));
    }
  }
}

TEST_P(LegBuffersTest, AllocatesOnRequestAndForNullPointersWithSize) {
  const ULONGLONG live = Statistics().cContextBuffers;
  Bytes mine(64, 0x5a);
  struct Form {
    SecBuffer token;
    ULONG flags;
  };
  for (const Form& form : {Form{{0, SECBUFFER_TOKEN, nullptr}, ISC_REQ_ALLOCATE_MEMORY},
                           Form{{64, SECBUFFER_TOKEN, mine.data()}, ISC_REQ_ALLOCATE_MEMORY},
                           Form{{16384, SECBUFFER_TOKEN, nullptr}, 0}}) {
    std::vector<SecBuffer> output = {form.token};
    ASSERT_EQ(Client(nullptr, &output, form.flags | ISC_REQ_STREAM), SEC_I_CONTINUE_NEEDED);
    EXPECT_NE(output[0].pvBuffer, nullptr);
    EXPECT_NE(output[0].pvBuffer, mine.data()) << "replaced, not written to";
    EXPECT_GT(output[0].cbBuffer, 50U);
    EXPECT_EQ(*static_cast<unsigned char*>(output[0].pvBuffer), 22) << "a handshake record";
    EXPECT_NE(attributes_ & ISC_RET_ALLOCATED_MEMORY, 0U);
    EXPECT_EQ(Statistics().cContextBuffers, live + 1);
    EXPECT_EQ(FreeContextBuffer(output[0].pvBuffer), SEC_E_OK);
    EXPECT_EQ(DeleteSecurityContext(&client_.context), SEC_E_OK);
    SecInvalidateHandle(&client_.context);
  }
  EXPECT_EQ(mine, Bytes(64, 0x5a));
  EXPECT_EQ(Statistics().cContextBuffers, live);
}

TEST_P(LegBuffersTest, GarbageIsRefusedAndTheContextGoesOn) {
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  const Bytes flight = server_.Leg(server_credential_.get());
  for (const int fill : {0x00, 0xfa, 0x00}) {
    Bytes garbage(8192, static_cast<unsigned char>(fill));
    Bytes memory(16384);
    std::vector<SecBuffer> input = {Token(garbage), kEmpty};
    std::vector<SecBuffer> output = {Token(memory)};
    EXPECT_EQ(Client(&input, &output), SEC_E_INVALID_TOKEN);
    EXPECT_EQ(output[0].cbBuffer, 0U);
  }
  client_.inbox = flight;
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  EXPECT_GE(client_.status, 0) << std::hex << client_.status;
  FinishHandshake();
}

TEST_P(LegBuffersTest, LaterLegWithoutInputIsIncompleteAndTouchesNothing) {
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  const CtxtHandle before = client_.context;
  Bytes memory(16384);
  std::vector<SecBuffer> output = {Token(memory)};
  EXPECT_EQ(Client(nullptr, &output), SEC_E_INCOMPLETE_MESSAGE);
  EXPECT_EQ(output[0].cbBuffer, 16384U);
  EXPECT_EQ(output[0].BufferType, ULONG{SECBUFFER_TOKEN});
  Bytes nothing;
  std::vector<SecBuffer> input = {{0, SECBUFFER_TOKEN, memory.data()}, kEmpty};
  attributes_ = 77;
  EXPECT_EQ(Client(&input, &output), SEC_E_INCOMPLETE_MESSAGE);
  EXPECT_EQ(output[0].cbBuffer, 16384U);
  EXPECT_EQ(attributes_, 77U);
  EXPECT_EQ(input[1].BufferType, ULONG{SECBUFFER_MISSING});
  EXPECT_EQ(input[1].cbBuffer, 5U);
  EXPECT_EQ(before.dwUpper, client_.context.dwUpper);
  FinishHandshake();
}

TEST_P(LegBuffersTest, EmptyBufferWithASizeIsRefusedAndNothingConsumed) {
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  Bytes flight = server_.Leg(server_credential_.get());
  Bytes memory(16384);
  std::vector<SecBuffer> input = {Token(flight), {1, SECBUFFER_EMPTY, nullptr}};
  std::vector<SecBuffer> output = {Token(memory)};
  EXPECT_EQ(Client(&input, &output), SEC_E_INVALID_TOKEN);
  client_.inbox = flight;
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  FinishHandshake();
}

TEST_P(LegBuffersTest, MissingIsTheHeaderThenTheBody) {
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  const Bytes flight = server_.Leg(server_credential_.get());
  const std::size_t body = static_cast<std::size_t>(flight[3]) * 256 + flight[4];
  for (const std::size_t cut : {std::size_t{1}, std::size_t{4}, std::size_t{5}, std::size_t{6}}) {
    Bytes part(flight.begin(), flight.begin() + static_cast<std::ptrdiff_t>(cut));
    part.shrink_to_fit();
    Bytes memory(16384);
    std::vector<SecBuffer> input = {Token(part), kEmpty};
    std::vector<SecBuffer> output = {Token(memory)};
    ASSERT_EQ(Client(&input, &output), SEC_E_INCOMPLETE_MESSAGE) << cut;
    EXPECT_EQ(input[1].BufferType, ULONG{SECBUFFER_MISSING});
    EXPECT_EQ(input[1].cbBuffer, cut < 5 ? 5 - cut : body + 5 - cut) << cut;
    EXPECT_EQ(input[0].BufferType, ULONG{SECBUFFER_TOKEN});
    EXPECT_EQ(output[0].cbBuffer, 16384U);
  }
  client_.inbox = flight;
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  FinishHandshake();
}

// A header that announces more than any record may have (RFC 8446 5.1) is refused at once: the
// caller need not hold the connection open for the rest.
TEST_P(LegBuffersTest, HeaderOfATooLongRecordIsRefusedAtOnce) {
  for (const std::size_t body : {std::size_t{0}, std::size_t{1}, std::size_t{1000}}) {
    Bytes header = {22, 3, 3, 0xff, 0xff};
    header.resize(header.size() + body, 'x');
    Bytes memory(16384);
    std::vector<SecBuffer> input = {Token(header), kEmpty};
    std::vector<SecBuffer> output = {Token(memory)};
    EXPECT_EQ(Server(&input, &output, ASC_REQ_STREAM | ASC_REQ_EXTENDED_ERROR),
              SEC_E_ILLEGAL_MESSAGE);
    const Bytes record_overflow = {21, 3, 3, 0, 2, 2, 22};
    memory.resize(output[0].cbBuffer);
    EXPECT_EQ(memory, record_overflow);
    DeleteSecurityContext(&server_.context);
    SecInvalidateHandle(&server_.context);
  }
}

TEST_P(LegBuffersTest, SingleTokenBufferIsEnoughForLaterLegs) {
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  Bytes flight = server_.Leg(server_credential_.get());
  Bytes part(flight.begin(), flight.begin() + 3);
  Bytes memory(16384);
  std::vector<SecBuffer> input = {Token(part)};
  std::vector<SecBuffer> output = {Token(memory)};
  EXPECT_EQ(Client(&input, &output), SEC_E_INCOMPLETE_MESSAGE) << "there is no buffer for MISSING";
  input = {Token(flight)};
  ASSERT_GE(Client(&input, &output), 0);
  memory.resize(output[0].cbBuffer);
  Append(server_.inbox, memory);
  Append(client_.inbox, server_.Leg(server_credential_.get()));
  EXPECT_EQ(server_.status, SEC_E_OK);
}

TEST_P(LegBuffersTest, CutRecordBehindWholeOnesIsExtra) {
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  const Bytes flight = server_.Leg(server_credential_.get());
  const std::size_t first = std::size_t{5} + static_cast<std::size_t>(flight[3]) * 256 + flight[4];
  ASSERT_LT(first + 3, flight.size());
  Bytes part(flight.begin(), flight.begin() + static_cast<std::ptrdiff_t>(first) + 3);
  Bytes memory(16384);
  std::vector<SecBuffer> input = {Token(part), kEmpty};
  std::vector<SecBuffer> output = {Token(memory)};
  ASSERT_EQ(Client(&input, &output), SEC_I_CONTINUE_NEEDED);
  ASSERT_EQ(input[1].BufferType, ULONG{SECBUFFER_EXTRA});
  EXPECT_EQ(input[1].cbBuffer, 3U) << "the last bytes of the token";
  EXPECT_EQ(output[0].cbBuffer, 0U) << "nothing to send yet, and cbBuffer says so";
  client_.inbox.assign(flight.begin() + static_cast<std::ptrdiff_t>(first), flight.end());
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  FinishHandshake();
}

TEST_P(LegBuffersTest, ByteByByteGivesTheSameHandshake) {
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  const Bytes flight = server_.Leg(server_credential_.get());
  Bytes tokens;
  for (std::size_t i = 0; i < flight.size(); ++i) {
    client_.inbox.push_back(flight[i]);
    Append(tokens, client_.Leg(client_credential_.get()));
    ASSERT_TRUE(client_.status >= 0 || client_.status == SEC_E_INCOMPLETE_MESSAGE) << i;
    if (client_.status == SEC_E_OK) {
      ASSERT_EQ(i + 1, flight.size());
    }
  }
  Append(server_.inbox, tokens);
  FinishHandshake();
}

TEST_P(LegBuffersTest, RecordsBehindTheLastHandshakeRecordAreLeftForDecrypt) {
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  Append(client_.inbox, server_.Leg(server_credential_.get()));
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  if (client_.status == SEC_E_OK) {
    // TLS 1.3: the client may send at once, after its Finished.
    const Bytes early = client_.Seal(ToBytes("right behind"));
    Append(server_.inbox, early);
    server_.Leg(server_credential_.get());
    ASSERT_EQ(server_.status, SEC_E_OK);
    EXPECT_EQ(server_.inbox, early) << "EXTRA, untouched";
    EXPECT_EQ(ToText(server_.Open(server_credential_.get())), "right behind");
    return;
  }
  // TLS 1.2: the server speaks first.
  Append(client_.inbox, server_.Leg(server_credential_.get()));
  ASSERT_EQ(server_.status, SEC_E_OK);
  const Bytes early = server_.Seal(ToBytes("right behind"));
  Append(client_.inbox, early);
  client_.Leg(client_credential_.get());
  ASSERT_EQ(client_.status, SEC_E_OK);
  EXPECT_EQ(client_.inbox, early) << "EXTRA, untouched";
  EXPECT_EQ(ToText(client_.Open(client_credential_.get())), "right behind");
}

TEST_P(LegBuffersTest, AlertBufferIsEmptyWithoutAnAlertAndTellsOneOnFailure) {
  Bytes hello = client_.Leg(client_credential_.get());
  Bytes memory(16384);
  Bytes alert(2, 0xee);
  std::vector<SecBuffer> input = {Token(hello), kEmpty};
  std::vector<SecBuffer> output = {Token(memory), {2, SECBUFFER_ALERT, alert.data()}};
  ASSERT_EQ(Server(&input, &output), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(output[1].cbBuffer, 0U);
  EXPECT_EQ(alert, Bytes(2, 0xee));
}

class LegFailureTest : public testing::Test {
 protected:
  // A ClientHello that this server cannot accept.
  Bytes BadHello() {
    TestCredential old = TestCredential::Client(SP_PROT_TLS1_3);
    TestEnd client(false);
    return client.Leg(old.get());
  }
  SECURITY_STATUS Accept(Bytes& hello, std::vector<SecBuffer>& output, ULONG flags) {
    CtxtHandle context;
    SecInvalidateHandle(&context);
    SecBuffer in[2] = {{static_cast<ULONG>(hello.size()), SECBUFFER_TOKEN, hello.data()}, kEmpty};
    SecBufferDesc in_desc = {SECBUFFER_VERSION, 2, in};
    SecBufferDesc out_desc = {SECBUFFER_VERSION, static_cast<ULONG>(output.size()), output.data()};
    ULONG attributes = 0;
    const SECURITY_STATUS status = AcceptSecurityContext(server_.get(), nullptr, &in_desc, flags, 0,
                                                         &context, &out_desc, &attributes, nullptr);
    EXPECT_FALSE(SecIsValidHandle(&context)) << "a failed first leg leaves no context";
    return status;
  }
  TestCredential server_ = TestCredential::Server(SP_PROT_TLS1_2);
};

TEST_F(LegFailureTest, AlertComesInBothFormsWithExtendedError) {
  Bytes hello = BadHello();
  Bytes memory(64);
  Bytes alert(2);
  std::vector<SecBuffer> output = {{64, SECBUFFER_TOKEN, memory.data()},
                                   {2, SECBUFFER_ALERT, alert.data()}};
  EXPECT_EQ(Accept(hello, output, ASC_REQ_EXTENDED_ERROR), SEC_E_ALGORITHM_MISMATCH);
  EXPECT_EQ(output[0].cbBuffer, 7U);
  ASSERT_EQ(output[1].cbBuffer, 2U);
  EXPECT_EQ(alert, (Bytes{2, 70})) << "fatal, protocol_version";
}

TEST_F(LegFailureTest, NoTokenWithoutExtendedError) {
  Bytes hello = BadHello();
  Bytes memory(64);
  std::vector<SecBuffer> output = {{64, SECBUFFER_TOKEN, memory.data()}};
  EXPECT_EQ(Accept(hello, output, 0), SEC_E_ALGORITHM_MISMATCH);
  EXPECT_EQ(output[0].cbBuffer, 0U);
}

TEST_F(LegFailureTest, AlertThatDoesNotFitIsNotClaimedToBeThere) {
  Bytes hello = BadHello();
  Bytes memory(3, 0x77);
  std::vector<SecBuffer> output = {{3, SECBUFFER_TOKEN, memory.data()}};
  EXPECT_EQ(Accept(hello, output, ASC_REQ_EXTENDED_ERROR), SEC_E_ALGORITHM_MISMATCH);
  EXPECT_EQ(output[0].cbBuffer, 0U);
  EXPECT_EQ(memory, Bytes(3, 0x77));
}

TEST_F(LegFailureTest, AllocatesTheAlertBufferToo) {
  Bytes hello = BadHello();
  Bytes mine(2, 0x5a);
  for (void* pointer : {static_cast<void*>(nullptr), static_cast<void*>(mine.data())}) {
    std::vector<SecBuffer> output = {{0, SECBUFFER_TOKEN, nullptr},
                                     {pointer == nullptr ? 0U : 2U, SECBUFFER_ALERT, pointer}};
    EXPECT_EQ(Accept(hello, output, ASC_REQ_EXTENDED_ERROR | ASC_REQ_ALLOCATE_MEMORY),
              SEC_E_ALGORITHM_MISMATCH);
    ASSERT_EQ(output[1].cbBuffer, 2U);
    ASSERT_NE(output[1].pvBuffer, nullptr);
    EXPECT_NE(output[1].pvBuffer, mine.data()) << "replaced, not written to";
    EXPECT_EQ(static_cast<unsigned char*>(output[1].pvBuffer)[1], 70);
    if (output[1].pvBuffer != mine.data()) FreeContextBuffer(output[1].pvBuffer);
    EXPECT_EQ(output[0].cbBuffer, 7U);
    FreeContextBuffer(output[0].pvBuffer);
  }
  EXPECT_EQ(mine, Bytes(2, 0x5a));
}

TEST_F(LegFailureTest, UnsupportedFlagsAreRefused) {
  TestCredential credential = TestCredential::Client();
  for (const ULONG flag : {ULONG{ISC_REQ_DELEGATE}, ULONG{ISC_REQ_PROMPT_FOR_CREDS}}) {
    Bytes memory(16384);
    SecBuffer out = {16384, SECBUFFER_TOKEN, memory.data()};
    SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
    CtxtHandle context;
    SecInvalidateHandle(&context);
    EXPECT_EQ(InitializeSecurityContextA(credential.get(), nullptr, nullptr, flag, 0, 0, nullptr, 0,
                                         &context, &out_desc, nullptr, nullptr),
              SEC_E_UNSUPPORTED_FUNCTION);
    EXPECT_FALSE(SecIsValidHandle(&context));
  }
}

TEST_F(LegFailureTest, MalformedProtocolListsAreRefused) {
  const Bytes good = AlpnBuffer({"h2", "http/1.1"});
  std::vector<Bytes> lists;
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    lists.emplace_back(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(cut));
  }
  for (const std::size_t at : {0U, 8U, 10U, 13U}) {
    lists.push_back(good);
    lists.back()[at] = 0xff;
  }
  lists.push_back(AlpnBuffer({""}));
  for (const Bytes& list : lists) {
    if (list.empty()) continue;
    TestCredential credential = TestCredential::Client();
    TestEnd client(false);
    client.alpn = list;
    client.Leg(credential.get());
    EXPECT_EQ(client.status, SEC_E_INVALID_TOKEN) << list.size();
    EXPECT_FALSE(SecIsValidHandle(&client.context));
  }
}

}  // namespace
}  // namespace ktlsim::test
