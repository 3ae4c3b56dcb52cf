#include "engine/scheduler.h"

#include <algorithm>

namespace truevec {

struct Scheduler::Job {
  std::vector<std::string> texts;
  EmbedParams params;
  EmbedDone done;
  EmbedResult result;
  size_t taken = 0;
  size_t finished = 0;
  bool answered = false;
};

struct Scheduler::Batch {
  std::vector<std::pair<std::shared_ptr<Job>, size_t>> texts;  // job, index
};

namespace {

bool SameParams(const EmbedParams& a, const EmbedParams& b) {
  return a.prompt == b.prompt && a.prompt_name == b.prompt_name && a.task == b.task && a.normalize == b.normalize &&
         a.truncate_dim == b.truncate_dim && a.max_length == b.max_length && a.error_when_long == b.error_when_long;
}

Status ToStatus(const Error& error) {
  for (const Code code : {Code::kUsage, Code::kModelRefused, Code::kBadInput, Code::kResource, Code::kInterrupted}) {
    if (ExitCode(code) == error.code) return {code, error.message};
  }
  return InternalError(error.message);
}

size_t Bytes(const std::vector<std::string>& texts) {
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  return bytes;
}

}  // namespace

Scheduler::Scheduler(std::shared_ptr<const Embedder> embedder, const SchedulerOptions& options)
    : embedder_(std::move(embedder)), options_(options), worker_([this] { Work(); }) {}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  worker_.join();
}

size_t Scheduler::waiting_texts() const {
  const std::lock_guard lock(mutex_);
  return texts_;
}

void Scheduler::Submit(std::vector<std::string> texts, const EmbedParams& params, EmbedDone done) {
  auto job = std::make_shared<Job>();
  job->texts = std::move(texts);
  job->params = params;
  job->done = std::move(done);
  job->result.width = embedder_->width(params);
  job->result.vectors.resize(job->texts.size() * job->result.width);
  if (job->texts.empty()) return job->done(std::move(job->result));
  const size_t bytes = Bytes(job->texts);
  bool refused = false;
  {
    const std::lock_guard lock(mutex_);
    // A request larger than the whole queue may still run when nothing waits.
    refused = stopping_ || (texts_ > 0 && (texts_ + job->texts.size() > options_.max_queue_texts ||
                                           bytes_ + bytes > options_.max_queue_bytes));
    if (!refused) {
      jobs_.push_back(job);
      texts_ += job->texts.size();
      bytes_ += bytes;
    }
  }
  if (refused) return job->done({.status = {Code::kUnavailable, "the queue is full; try again"}});
  wake_.notify_one();
}

Scheduler::Batch Scheduler::TakeBatch() {
  Batch batch;
  const EmbedParams params = jobs_.front()->params;
  size_t bytes = 0;
  bool full = false;
  for (bool progress = true; progress && !full;) {
    progress = false;
    for (size_t visits = jobs_.size(); visits > 0 && !full; --visits) {
      std::shared_ptr<Job> job = std::move(jobs_.front());
      jobs_.pop_front();
      if (SameParams(job->params, params)) {
        const size_t size = job->texts[job->taken].size();
        full = !batch.texts.empty() && bytes + size > options_.max_batch_bytes;
        if (!full) {
          batch.texts.emplace_back(job, job->taken++);
          bytes += size;
          progress = true;
          full = batch.texts.size() >= options_.max_batch_texts;
        }
      }
      // Behind the others, so that the next batch starts with who waits longest.
      if (job->taken < job->texts.size()) jobs_.push_back(std::move(job));
    }
    if (jobs_.empty()) break;
  }
  return batch;
}

void Scheduler::Work() {
  for (;;) {
    Batch batch;
    std::deque<std::shared_ptr<Job>> refused;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) {
        refused.swap(jobs_);
      } else {
        batch = TakeBatch();
      }
    }
    for (const auto& job : refused) {
      if (!job->answered) job->done({.status = {Code::kUnavailable, "the server is stopping"}});
    }
    if (batch.texts.empty()) return;
    Run(batch);
  }
}

void Scheduler::Run(const Batch& batch) {
  std::vector<std::string_view> views;
  for (const auto& [job, index] : batch.texts) views.push_back(job->texts[index]);
  const size_t width = batch.texts.front().first->result.width;
  std::vector<float> out(views.size() * width);
  std::vector<int64_t> tokens;
  std::vector<int64_t> truncated;
  EmbedStats stats;
  stats.text_tokens = &tokens;
  stats.text_truncated = &truncated;
  const Error error = embedder_->Embed(views, batch.texts.front().first->params, out, &stats);
  for (size_t i = 0; i < batch.texts.size(); ++i) {
    const auto& [job, index] = batch.texts[i];
    if (error.ok()) {
      std::copy_n(out.data() + i * width, width, job->result.vectors.data() + index * width);
      job->result.tokens += tokens[i];
      job->result.truncated_texts += truncated[i] > 0 ? 1 : 0;
    } else if (!job->answered) {
      RunAlone(job);
    }
    FinishTexts(job, 1);
  }
}

// After a failed batch: the fault is one request's, and its message counts that request's texts.
void Scheduler::RunAlone(const std::shared_ptr<Job>& job) {
  const std::vector<std::string_view> views(job->texts.begin(), job->texts.end());
  EmbedStats stats;
  const Error error = embedder_->Embed(views, job->params, job->result.vectors, &stats);
  EmbedResult result;
  if (error.ok()) {
    result = std::move(job->result);
    result.tokens = stats.tokens;
    result.truncated_texts = stats.truncated_texts;
  } else {
    result.status = ToStatus(error);
  }
  job->answered = true;
  size_t left = 0;
  {
    const std::lock_guard lock(mutex_);
    left = job->texts.size() - job->taken;
    job->taken = job->texts.size();
    std::erase(jobs_, job);
  }
  FinishTexts(job, left);
  job->done(std::move(result));
}

void Scheduler::FinishTexts(const std::shared_ptr<Job>& job, size_t count) {
  job->finished += count;
  const bool last = job->finished == job->texts.size();
  {
    const std::lock_guard lock(mutex_);
    texts_ -= count;
    if (last) bytes_ -= Bytes(job->texts);
  }
  if (last && !job->answered) {
    job->answered = true;
    job->done(std::move(job->result));
  }
}

}  // namespace truevec
