#include "tls/handshake/endpoint.h"

#include <new>
#include <utility>

#include "tls/handshake/endpoint_core.h"

namespace ktlsim::tls {

Endpoint::Endpoint(std::shared_ptr<EndpointCore> core) : core_(std::move(core)) {}
Endpoint::~Endpoint() = default;

const EndpointOptions& Endpoint::options() const { return core_->options(); }

Result<std::shared_ptr<Endpoint>> Endpoint::Create(EndpointOptions options, std::string* message) {
  try {
    auto core = std::make_shared<EndpointCore>(std::move(options));
    const Status status = core->Init();
    if (message != nullptr) *message = core->message();
    if (!status.ok()) return status;
    return std::shared_ptr<Endpoint>(new Endpoint(std::move(core)));
  } catch (const std::bad_alloc&) {
    return ResourceError("no memory for an endpoint");
  }
}

}  // namespace ktlsim::tls
