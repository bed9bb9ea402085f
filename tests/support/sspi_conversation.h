// A TLS client and a TLS server that talk in memory through the asynchronous functions alone: every
// step is submitted from the callback of the one before it, so no thread waits anywhere.
#pragma once

#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "kernel_sim/base/work_item.h"
#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {

class TlsConversation : public WorkItem {
 public:
  TlsConversation(PCredHandle client, PCredHandle server, ULONG notify_mode)
      : WorkItem([](WorkItem& item) { static_cast<TlsConversation&>(item).Start(); }),
        client_(*this, false, client, notify_mode),
        server_(*this, true, server, notify_mode) {}
  ~TlsConversation() {
    client_.Delete();
    server_.Delete();
  }

  // Any thread; or post the object to a loop.
  void Start() { client_.SubmitLeg(); }
  // SEC_E_OK: established on both ends, and a message arrived unharmed.
  SECURITY_STATUS Wait() {
    done_.Wait();
    return outcome_;
  }

 private:
  struct Side {
    Side(TlsConversation& conversation, bool is_server, PCredHandle own_credential, ULONG mode)
        : owner(conversation),
          server(is_server),
          credential(own_credential),
          async(SspiCreateAsyncContext()) {
      SecInvalidateHandle(&context);
      EXPECT_EQ(KtlsimSetNotifyMode(async, mode), SEC_E_OK);
    }

    void SubmitLeg() {
      const bool first = !SecIsValidHandle(&context);
      input.swap(inbox);
      inbox.clear();
      output.assign(16384, 0);
      buffers[0] = {static_cast<ULONG>(input.size()), SECBUFFER_TOKEN, input.data()};
      buffers[1] = {0, SECBUFFER_EMPTY, nullptr};
      buffers[2] = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
      in = {SECBUFFER_VERSION, 2, buffers.data()};
      out = {SECBUFFER_VERSION, 1, &buffers[2]};
      EXPECT_EQ(SspiSetAsyncNotifyCallback(async, &Side::OnLeg, this), SEC_E_OK);
      static char target[] = "localhost";
      const SECURITY_STATUS status =
          server ? SspiAcceptSecurityContextAsync(async, credential, first ? nullptr : &context,
                                                  &in, ASC_REQ_STREAM | ASC_REQ_EXTENDED_ERROR, 0,
                                                  &context, &out, &attributes, nullptr)
                 : SspiInitializeSecurityContextAsyncA(
                       async, credential, first ? nullptr : &context, first ? target : nullptr,
                       ISC_REQ_STREAM | ISC_REQ_USE_SUPPLIED_CREDS, 0, SECURITY_NATIVE_DREP, &in, 0,
                       &context, &out, &attributes, nullptr);
      if (status != SEC_E_OK) owner.End(status);
    }
    static void OnLeg(SspiAsyncContext* handle, PVOID data) {
      auto* self = static_cast<Side*>(data);
      const SECURITY_STATUS status = SspiGetAsyncCallStatus(handle);
      EXPECT_EQ(SspiReinitAsyncContext(handle), STATUS_SUCCESS);
      if (status != SEC_E_OK && status != SEC_I_CONTINUE_NEEDED) return self->owner.End(status);
      if (self->buffers[1].BufferType == SECBUFFER_EXTRA) {
        self->inbox.assign(self->input.end() - self->buffers[1].cbBuffer, self->input.end());
      }
      self->established = status == SEC_E_OK;
      self->output.resize(self->buffers[2].cbBuffer);
      self->owner.OnLegDone(*self);
    }
    // Both message calls use the four buffers over `output`.
    void SubmitEncrypt(const Bytes& plaintext) {
      SecPkgContext_StreamSizes sizes{};
      EXPECT_EQ(QueryContextAttributesA(&context, SECPKG_ATTR_STREAM_SIZES, &sizes), SEC_E_OK);
      output.assign(sizes.cbHeader + plaintext.size() + sizes.cbTrailer, 0);
      std::copy(plaintext.begin(), plaintext.end(), output.begin() + sizes.cbHeader);
      unsigned char* data = output.data() + sizes.cbHeader;
      buffers[0] = {sizes.cbHeader, SECBUFFER_STREAM_HEADER, output.data()};
      buffers[1] = {static_cast<ULONG>(plaintext.size()), SECBUFFER_DATA, data};
      buffers[2] = {sizes.cbTrailer, SECBUFFER_STREAM_TRAILER, data + plaintext.size()};
      buffers[3] = {0, SECBUFFER_EMPTY, nullptr};
      in = {SECBUFFER_VERSION, 4, buffers.data()};
      EXPECT_EQ(SspiSetAsyncNotifyCallback(async, &Side::OnEncrypted, this), SEC_E_OK);
      const SECURITY_STATUS status = SspiEncryptMessageAsync(async, &context, 0, &in, 0);
      if (status != SEC_E_OK) owner.End(status);
    }
    static void OnEncrypted(SspiAsyncContext* handle, PVOID data) {
      auto* self = static_cast<Side*>(data);
      const SECURITY_STATUS status = SspiGetAsyncCallStatus(handle);
      EXPECT_EQ(SspiReinitAsyncContext(handle), STATUS_SUCCESS);
      if (status != SEC_E_OK) return self->owner.End(status);
      self->owner.server_.SubmitDecrypt(self->output);
    }
    void SubmitDecrypt(const Bytes& record) {
      input = record;
      buffers[0] = {static_cast<ULONG>(input.size()), SECBUFFER_DATA, input.data()};
      for (std::size_t i = 1; i < 4; ++i) buffers[i] = {0, SECBUFFER_EMPTY, nullptr};
      in = {SECBUFFER_VERSION, 4, buffers.data()};
      EXPECT_EQ(SspiSetAsyncNotifyCallback(async, &Side::OnDecrypted, this), SEC_E_OK);
      const SECURITY_STATUS status = SspiDecryptMessageAsync(async, &context, &in, 0, &attributes);
      if (status != SEC_E_OK) owner.End(status);
    }
    static void OnDecrypted(SspiAsyncContext* handle, PVOID data) {
      auto* self = static_cast<Side*>(data);
      const SECURITY_STATUS status = SspiGetAsyncCallStatus(handle);
      if (status == SEC_E_OK) {
        const auto* text = static_cast<unsigned char*>(self->buffers[1].pvBuffer);
        EXPECT_EQ(Bytes(text, text + self->buffers[1].cbBuffer), Message());
      }
      self->owner.End(status);
    }
    // The opt-out form.
    void Delete() {
      if (!SecIsValidHandle(&context)) return;
      SspiAsyncContext* silent = SspiCreateAsyncContext();
      EXPECT_EQ(SspiDeleteSecurityContextAsync(silent, &context), SEC_E_OK);
      SecInvalidateHandle(&context);
      SspiFreeAsyncContext(silent);
    }

    TlsConversation& owner;
    const bool server;
    const PCredHandle credential;
    SspiAsyncContext* const async;
    CtxtHandle context{};
    bool established = false;
    Bytes inbox;
    Bytes input;
    Bytes output;
    std::array<SecBuffer, 4> buffers{};
    SecBufferDesc in{};
    SecBufferDesc out{};
    ULONG attributes = 0;
  };

  static Bytes Message() { return Bytes(5000, 'm'); }

  void OnLegDone(Side& side) {
    Side& peer = side.server ? client_ : server_;
    Append(peer.inbox, side.output);
    if (client_.established && server_.established) return client_.SubmitEncrypt(Message());
    if (!peer.established && !peer.inbox.empty()) return peer.SubmitLeg();
    if (!side.established && !side.inbox.empty()) return side.SubmitLeg();
    End(SEC_E_UNFINISHED_CONTEXT_DELETED);
  }
  void End(SECURITY_STATUS outcome) {
    outcome_ = outcome;
    SspiFreeAsyncContext(client_.async);
    SspiFreeAsyncContext(server_.async);
    done_.Set();
  }

  Side client_;
  Side server_;
  SECURITY_STATUS outcome_ = SEC_E_INTERNAL_ERROR;
  Event done_;
};

// The loops of all I/O processors.
inline std::vector<io::Loop*> Loops() {
  std::vector<io::Loop*> loops;
  EXPECT_EQ(KtlsimForEachProcessor(
                [](void* context, const KtlsimProcessor* processor) {
                  static_cast<std::vector<io::Loop*>*>(context)->push_back(processor->loop);
                },
                &loops),
            SEC_E_OK);
  return loops;
}

}  // namespace ktlsim::test
