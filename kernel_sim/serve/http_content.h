// HttpContent: decides the responses to the requests of one connection. HttpResponder does the
// protocol; this supplies status, fields, and a body that is made piece by piece, in the very bytes
// that will be sealed.
//
// On the connection's loop at dispatch level, so nothing here may block. What has to wait returns
// kLater and calls HttpContentWaiter from a later turn, never from inside a call.
//
// Private to serve/.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel_sim/serve/http_request_reader.h"
#include "kernel_sim/serve/http_response.h"

namespace ktlsim::serve {

class HttpContentWaiter {
 public:
  // What was awaited is there: the response is filled, or Fill may be called again.
  virtual void OnContentReady() = 0;

 protected:
  ~HttpContentWaiter() = default;
};

class HttpContent {
 public:
  enum class Outcome : std::uint8_t {
    kReady,
    kLater,   // OnContentReady follows
    kFailed,  // Fill only: the body cannot be continued; the connection must not end in order
  };

  // Where the reader puts the request's texts. Null: nothing beyond HttpRequest is needed.
  virtual HttpRequestText* request_text() { return nullptr; }

  // Whether a body that waits for "100 Continue" is asked for. False: Answer is called in its
  // place, and the connection ends with the response (RFC 9110 10.1.1).
  virtual bool WantsBody(const HttpRequest& /*request*/) { return true; }

  // A content in front of this one has authenticated the client of the next request to be answered:
  // the security context is its. Called just before Answer.
  virtual void SetClient(const CtxtHandle& /*context*/) {}

  // The number under which records know the connection; 0: they do not.
  virtual std::uint64_t connection_id() const { return 0; }

  // Responds to `request`: fills status, body length and fields of `response`; keep-alive is the
  // caller's decision, and a content may say that the connection closes. Both objects stay where
  // they are until EndResponse; with kLater the response is filled later.
  virtual Outcome Answer(const HttpRequest& request, HttpContentWaiter& waiter,
                         HttpResponse& response) = 0;
  // Writes the body from `offset` on to the beginning of `out`, which is not empty and not longer
  // than what is left. kReady: `*bytes` > 0 of them.
  virtual Outcome Fill(std::uint64_t offset, std::span<std::byte> out, HttpContentWaiter& waiter,
                       std::size_t* bytes) = 0;
  // The response is over. Nothing is being awaited.
  virtual void EndResponse() {}

  // The connection is gone; the waiter will not be called any more. Frees itself, perhaps later.
  virtual void Release() = 0;

 protected:
  ~HttpContent() = default;
};

}  // namespace ktlsim::serve
