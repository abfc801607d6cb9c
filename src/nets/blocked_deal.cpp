#include "nets/blocked_deal.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <stdexcept>

namespace retort::nets {

Deal deal(const std::vector<int64_t>& sizes, int64_t most) {
  const int64_t threads = std::max(1, at::get_num_threads());
  const int64_t share = sizes.size() > 1 ? 1 : threads;
  Deal all;
  int64_t total = 0;
  for (size_t p = 0; p < sizes.size(); ++p) {
    const int64_t rounds = (sizes[p] + share * most - 1) / (share * most);
    const int64_t size = (sizes[p] + share * rounds - 1) / (share * rounds);
    for (int64_t begin = 0; begin < sizes[p]; begin += size)
      all.pieces.push_back({p, begin, std::min(sizes[p], begin + size)});
    total += sizes[p];
  }
  int64_t done = 0, task = 1;
  for (size_t i = 0; i < all.pieces.size(); ++i) {
    done += all.pieces[i].rows();
    if (done * threads < task * total && i + 1 < all.pieces.size()) continue;
    all.edges.push_back(i + 1);
    task = done * threads / total + 1;
  }
  return all;
}

ThetaSums::ThetaSums(const Deal& dealt, size_t parts, int64_t size) : answers_(parts) {
  for (int64_t task = 0; task < dealt.tasks(); ++task) {
    const auto t = static_cast<size_t>(task);
    for (size_t i = dealt.edges[t]; i < dealt.edges[t + 1]; ++i) {
      const size_t part = dealt.pieces[i].part;
      if (!own_.empty() && own_.back().task == task && own_.back().part == part) continue;
      own_.push_back({task, part, at::zeros({size})});
    }
  }
}

float* ThetaSums::of(int64_t task, size_t part) const {
  for (const Own& own : own_)
    if (own.task == task && own.part == part) return own.sum.data_ptr<float>();
  throw std::logic_error("a piece without a sum");
}

std::vector<at::Tensor> ThetaSums::take() {
  for (const Own& own : own_) {
    at::Tensor& answer = answers_[own.part];
    if (answer.defined())
      answer.add_(own.sum);
    else
      answer = own.sum;
  }
  return std::move(answers_);
}

}  // namespace retort::nets
