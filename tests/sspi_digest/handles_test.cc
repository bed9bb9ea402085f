// Which handle each call returns, who owns it, and what becomes of it.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

TEST(DigestHandlesTest, PartialContextIsAnsweredOverAnotherConnection) {
  DigestServer server;
  DigestClient client;
  const Accepted challenge = server.Challenge();
  const std::string header = client.Respond(challenge.token);
  const ULONGLONG alive = ContextsAlive(server);
  const Accepted accepted = server.Accept(header);
  ASSERT_EQ(accepted.status, SEC_E_OK);
  EXPECT_TRUE(SameHandle(accepted.context, challenge.context));
  EXPECT_EQ(ContextsAlive(server), alive);
  EXPECT_EQ(DigestServer::Delete(challenge.context), SEC_E_OK);
}

TEST(DigestHandlesTest, EstablishedContextIsBorrowedAndNothingIsOwed) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  const ULONGLONG alive = ContextsAlive(server);
  for (int i = 0; i < 3; ++i) {
    const Accepted again = server.Accept(client.Sign());
    EXPECT_EQ(again.status, SEC_I_COMPLETE_NEEDED);
    EXPECT_TRUE(SameHandle(again.context, context.context));
  }
  EXPECT_EQ(ContextsAlive(server), alive);
}

TEST(DigestHandlesTest, PartialContextOfTheConnectionIsLeftAlone) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  const Accepted partial = server.Challenge();
  const std::string header = client.Sign();
  const Accepted again = server.Accept(header, {}, &partial.context);
  ASSERT_EQ(again.status, SEC_I_COMPLETE_NEEDED);
  EXPECT_TRUE(SameHandle(again.context, context.context));
  EXPECT_EQ(DigestServer::Complete(again.context, header), SEC_E_OK);
  // It can still be answered, and its Delete is still owed.
  DigestClient other;
  EXPECT_EQ(server.Accept(other.Respond(partial.token), {}, &partial.context).status, SEC_E_OK);
  EXPECT_EQ(DigestServer::Delete(partial.context), SEC_E_OK);
}

TEST(DigestHandlesTest, EstablishedContextTakesNoFurtherLeg) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  EXPECT_EQ(server.Accept(client.Sign(), {}, &context.context).status, kLogonFailure);
  EXPECT_EQ(server.Accept("", {}, &context.context).status, kLogonFailure);
  EXPECT_EQ(server.Serve(client.Sign()), SEC_E_OK);
}

TEST(DigestHandlesTest, WrongFirstResponseLeavesNoContextBehind) {
  DigestServer server;
  DigestClient wrong("Mufasa", "wrong");
  const Accepted challenge = server.Challenge();
  std::string header = wrong.Respond(challenge.token);
  header = With(header, ReadChallenge(challenge.token).opaque, std::string(32, '0'));
  const ULONGLONG alive = ContextsAlive(server);
  const Accepted accepted = server.Accept(header);
  EXPECT_EQ(accepted.status, SEC_E_LOGON_DENIED);
  EXPECT_FALSE(SecIsValidHandle(&accepted.context));
  EXPECT_EQ(ContextsAlive(server), alive);
  EXPECT_EQ(DigestServer::Delete(challenge.context), SEC_E_OK);
}

TEST(DigestHandlesTest, OneDeleteEndsItHoweverOftenItWasHandedOut) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  context.deletes = false;
  const std::string open = client.Sign();
  ASSERT_EQ(server.Accept(open).status, SEC_I_COMPLETE_NEEDED);
  EXPECT_EQ(DigestServer::Delete(context.context), SEC_E_OK);
  EXPECT_EQ(DigestServer::Delete(context.context), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(DigestServer::Complete(context.context, open), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(DigestServer::Verify(context.context, open), SEC_E_INVALID_HANDLE);
  const Accepted again = server.Accept(client.Sign());
  ASSERT_EQ(again.status, SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(ReadChallenge(again.token).stale);
  EXPECT_FALSE(SameHandle(again.context, context.context));
  // The client keeps its context and goes on with the new nonce.
  std::string header;
  ASSERT_EQ(client.Respond(again.token, &header), SEC_E_OK);
  EXPECT_EQ(ReadResponse(header).nonce_count, 1U);
  EXPECT_EQ(server.Accept(header).status, SEC_E_OK);
  EXPECT_EQ(server.Serve(client.Sign()), SEC_E_OK);
  DigestServer::Delete(again.context);
}

TEST(DigestHandlesTest, SeveralRequestsAreOpenOnOneContext) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  std::vector<std::string> headers;
  for (int i = 0; i < 8; ++i) {
    headers.push_back(client.Sign({.uri = "/" + std::to_string(i)}));
    EXPECT_EQ(server.Accept(headers.back(), {.uri = "/" + std::to_string(i)}).status,
              SEC_I_COMPLETE_NEEDED);
  }
  // With an output only it is not clear which.
  EXPECT_EQ(DigestServer::Complete(context.context, "", {}), SEC_E_INVALID_TOKEN);
  for (int i = 7; i >= 0; --i) {
    EXPECT_EQ(DigestServer::Complete(context.context, headers[static_cast<std::size_t>(i)],
                                     {.uri = "/" + std::to_string(i)}),
              SEC_E_OK);
  }
  // A record serves once.
  EXPECT_EQ(DigestServer::Complete(context.context, headers[0], {.uri = "/0"}),
            SEC_E_INVALID_TOKEN);
}

TEST(DigestHandlesTest, OnlyOpenRequestIsFoundByAnOutputDescriptor) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  ASSERT_EQ(server.Accept(client.Sign()).status, SEC_I_COMPLETE_NEEDED);
  SecBuffer out = {0, SECBUFFER_TOKEN, nullptr};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  EXPECT_EQ(CompleteAuthToken(&context.context, &output), SEC_E_OK);
  EXPECT_EQ(CompleteAuthToken(&context.context, &output), SEC_E_INVALID_TOKEN);
}

TEST(DigestHandlesTest, OldestOfTooManyOpenRequestsIsDropped) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  const std::string first = client.Sign();
  ASSERT_EQ(server.Accept(first).status, SEC_I_COMPLETE_NEEDED);
  std::string last;
  for (int i = 0; i < 64; ++i) {
    last = client.Sign();
    ASSERT_EQ(server.Accept(last).status, SEC_I_COMPLETE_NEEDED);
  }
  EXPECT_EQ(DigestServer::Complete(context.context, first), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(DigestServer::Complete(context.context, last), SEC_E_OK);
}

TEST(DigestHandlesTest, RequestWithoutACompleteNeedsNone) {
  DigestServer server;
  DigestClient client;
  const Accepted challenge = server.Challenge();
  EXPECT_EQ(DigestServer::Complete(challenge.context, "x"), SEC_E_INVALID_TOKEN);
  const std::string header = client.Respond(challenge.token);
  EXPECT_EQ(CompleteAuthToken(client.context(), ServerInput(header, {}).get()),
            SEC_E_UNSUPPORTED_FUNCTION);
  DigestServer::Delete(challenge.context);
}

TEST(DigestHandlesTest, NothingIsLeftWhenEverythingWasDeleted) {
  {
    DigestServer server;
    ContextsAlive(server);
  }
  const ULONGLONG contexts = Statistics().cSecurityContexts;
  const ULONGLONG credentials = Statistics().cCredentials;
  {
    DigestServer server;
    DigestClient client;
    Established context(server, client);
    EXPECT_EQ(server.Serve(client.Sign()), SEC_E_OK);
  }
  EXPECT_EQ(Statistics().cSecurityContexts, contexts);
  EXPECT_EQ(Statistics().cCredentials, credentials);
}

TEST(DigestHandlesTest, ClientsContextOutlivesItsCredential) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  ASSERT_EQ(FreeCredentialsHandle(client.credential()), SEC_E_OK);
  SecInvalidateHandle(client.credential());
  EXPECT_EQ(server.Serve(client.Sign()), SEC_E_OK);
}

TEST(DigestHandlesTest, TooSmallBufferForASignatureUsesNoCountUp) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  std::string header;
  EXPECT_EQ(client.Sign(&header, {}, 100), SEC_E_BUFFER_TOO_SMALL);
  EXPECT_EQ(client.Sign(&header, {.uri = "/" + std::string(5000, 'x')}, 8192),
            SEC_E_BUFFER_TOO_SMALL);
  EXPECT_EQ(ReadResponse(client.Sign()).nonce_count, 2U);
}

TEST(DigestHandlesTest, TooSmallBufferForAChallengeOrAResponse) {
  DigestServer server;
  char room[16];
  SecBuffer out = {sizeof(room), SECBUFFER_TOKEN, room};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context;
  ULONG attributes = 0;
  ASSERT_EQ(AcceptSecurityContext(server.credential(), nullptr, nullptr, ASC_REQ_HTTP, 0, &context,
                                  &output, &attributes, nullptr),
            SEC_E_BUFFER_TOO_SMALL);
  // The context is there, and the call can be made again.
  const Accepted again = server.Accept("", {}, &context);
  EXPECT_EQ(again.status, SEC_I_CONTINUE_NEEDED);
  DigestClient client;
  std::string header;
  EXPECT_EQ(client.Respond(again.token, &header, {}, ISC_REQ_USE_HTTP_STYLE, 100),
            SEC_E_BUFFER_TOO_SMALL);
  DigestServer::Delete(context);
}

TEST(DigestHandlesTest, TokensAreAllocatedWhereItIsAsked) {
  DigestServer server;
  SecBuffer out[2] = {{0, SECBUFFER_TOKEN, nullptr}, {0, SECBUFFER_TOKEN, nullptr}};
  SecBufferDesc output = {SECBUFFER_VERSION, 2, out};
  CtxtHandle context;
  ULONG attributes = 0;
  ASSERT_EQ(AcceptSecurityContext(server.credential(), nullptr, nullptr,
                                  ASC_REQ_HTTP | ASC_REQ_ALLOCATE_MEMORY, 0, &context, &output,
                                  &attributes, nullptr),
            SEC_I_CONTINUE_NEEDED);
  EXPECT_NE(attributes & ASC_RET_ALLOCATED_MEMORY, 0U);
  EXPECT_EQ(out[1].pvBuffer, nullptr);
  EXPECT_EQ(out[1].cbBuffer, 0U);
  EXPECT_FALSE(ReadChallenge({static_cast<char*>(out[0].pvBuffer), out[0].cbBuffer}).nonce.empty());
  EXPECT_EQ(FreeContextBuffer(out[0].pvBuffer), SEC_E_OK);
  DigestServer::Delete(context);
}

}  // namespace
}  // namespace ktlsim::test
