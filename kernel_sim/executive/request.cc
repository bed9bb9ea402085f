#include "kernel_sim/executive/request.h"

#include "kernel_sim/executive/processor.h"

namespace ktlsim::executive {

Request::Request() : WorkItem(&Processor::Arrive) {}

void ResumeToken::Resume() {
  if (request_ == nullptr) return;
  if (!request_->suspension().Resume(generation_, CallRun::kResumed)) return;
  request_->processor()->BringBack(*request_);
}

}  // namespace ktlsim::executive
