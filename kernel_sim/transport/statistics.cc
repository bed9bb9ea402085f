#include "kernel_sim/transport/statistics.h"

namespace ktlsim::transport {

TransportStatistics& TransportStatistics::operator+=(const TransportStatistics& other) {
  opened += other.opened;
  established += other.established;
  resumed += other.resumed;
  ended += other.ended;
  for (std::size_t i = 0; i < ended_by.size(); ++i) ended_by[i] += other.ended_by[i];
  for (std::size_t i = 0; i < failed_by.size(); ++i) failed_by[i] += other.failed_by[i];
  for (std::size_t i = 0; i < kAlertKinds; ++i) {
    alerts_sent[i] += other.alerts_sent[i];
    alerts_received[i] += other.alerts_received[i];
  }
  legs += other.legs;
  plaintext_received += other.plaintext_received;
  plaintext_sent += other.plaintext_sent;
  records_opened += other.records_opened;
  records_sealed += other.records_sealed;
  socket_sends += other.socket_sends;
  submissions_refused += other.submissions_refused;
  accepts_held += other.accepts_held;
  accepts_failed += other.accepts_failed;
  close_waits_expired += other.close_waits_expired;
  connections += other.connections;
  handshakes += other.handshakes;
  async_contexts += other.async_contexts;
  security_contexts += other.security_contexts;
  buffers += other.buffers;
  return *this;
}

}  // namespace ktlsim::transport
