// The two ends of SASL's DIGEST-MD5 through the public functions, for tests.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {

// One end of a connection. `flags` are ISC_REQ_ or ASC_REQ_.
class SaslEnd {
 public:
  SaslEnd(PCredHandle credential, bool server, ULONG flags,
          std::string target = "imap/elwood.example.org")
      : credential_(credential), server_(server), flags_(flags), target_(std::move(target)) {
    SecInvalidateHandle(&context_);
  }
  SaslEnd(const SaslEnd&) = delete;
  SaslEnd& operator=(const SaslEnd&) = delete;
  ~SaslEnd() {
    if (SecIsValidHandle(&context_)) {
      EXPECT_EQ(DeleteSecurityContext(&context_), SEC_E_OK);
    }
  }

  CtxtHandle* context() { return &context_; }
  ULONG attributes() const { return attributes_; }

  // One leg; the token that it made.
  SECURITY_STATUS Leg(std::string token, std::string* made) {
    SecBuffer in = {static_cast<ULONG>(token.size()), SECBUFFER_TOKEN,
                    token.empty() ? nullptr : token.data()};
    SecBufferDesc input = {SECBUFFER_VERSION, 1, &in};
    std::array<char, 4096> room;
    SecBuffer out = {room.size(), SECBUFFER_TOKEN, room.data()};
    SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
    PCtxtHandle given = SecIsValidHandle(&context_) ? &context_ : nullptr;
    const SECURITY_STATUS status =
        server_ ? AcceptSecurityContext(credential_, given, &input, flags_, 0, &context_, &output,
                                        &attributes_, nullptr)
                : InitializeSecurityContextA(credential_, given, target_.data(), flags_, 0, 0,
                                             &input, 0, &context_, &output, &attributes_, nullptr);
    if (status >= 0) made->assign(room.data(), out.cbBuffer);
    return status;
  }

  SECURITY_STATUS Seal(std::string* text, ULONG qop = 0) {
    std::array<char, 24> room;
    SecBuffer buffers[2] = {{static_cast<ULONG>(text->size()), SECBUFFER_DATA, text->data()},
                            {room.size(), SECBUFFER_PADDING, room.data()}};
    SecBufferDesc message = {SECBUFFER_VERSION, 2, buffers};
    const SECURITY_STATUS status = EncryptMessage(&context_, qop, &message, 0);
    if (status == SEC_E_OK) text->append(room.data(), buffers[1].cbBuffer);
    return status;
  }
  SECURITY_STATUS Open(std::string* text, ULONG* qop) {
    SecBuffer buffers[2] = {{static_cast<ULONG>(text->size()), SECBUFFER_DATA, text->data()},
                            {0, SECBUFFER_PADDING, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 2, buffers};
    const SECURITY_STATUS status = DecryptMessage(&context_, &message, 0, qop);
    if (status == SEC_E_OK) text->resize(buffers[0].cbBuffer);
    return status;
  }
  SECURITY_STATUS Sign(std::string text, std::string* signature) {
    signature->assign(16, '\0');
    SecBuffer buffers[3] = {{16, SECBUFFER_TOKEN, signature->data()},
                            {static_cast<ULONG>(text.size()), SECBUFFER_DATA, text.data()},
                            {0, SECBUFFER_PADDING, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 3, buffers};
    return MakeSignature(&context_, 0, &message, 0);
  }
  SECURITY_STATUS Verify(std::string text, std::string signature) {
    SecBuffer buffers[2] = {
        {static_cast<ULONG>(signature.size()), SECBUFFER_TOKEN, signature.data()},
        {static_cast<ULONG>(text.size()), SECBUFFER_DATA, text.data()}};
    SecBufferDesc message = {SECBUFFER_VERSION, 2, buffers};
    ULONG qop = 1;
    return VerifySignature(&context_, &message, 0, &qop);
  }

 private:
  const PCredHandle credential_;
  const bool server_;
  const ULONG flags_;
  std::string target_;  // of a client
  CtxtHandle context_;
  ULONG attributes_ = 0;
};

}  // namespace ktlsim::test
