#include "eval/evaluation_notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/sizes.h"
#include "synthetic/contrast.h"

namespace retort::eval {
namespace {

bool is_post_training(const std::string& protocol) {
  for (const Protocol& one : protocols())
    if (one.name == protocol) return one.post.has_value();
  return false;
}

std::string label_note(const Noted& noted) {
  if (noted.soft_labels) return {};
  const bool own = is_post_training(noted.bundle.protocol);
  if (!own && !noted.protocol.post) return {};
  return fmt::format(
      "hard labels: sets of {} are made for the labels of a teacher, and published figures have "
      "them. Give --teacher FILE with --protocol {}, or store them first with `retort relabel`",
      own ? noted.bundle.method : "protocol " + noted.protocol.name,
      own ? noted.bundle.protocol : noted.protocol.name);
}

std::string balance_note(const Noted& noted) {
  constexpr double kUneven = 1.5;
  const auto& members = noted.part.rows_by_class;
  const auto [few, many] =
      std::minmax_element(members.begin(), members.end(),
                          [](const auto& a, const auto& b) { return a.size() < b.size(); });
  if (members.empty() ||
      static_cast<double>(many->size()) < kUneven * static_cast<double>(few->size()))
    return {};
  const auto name = [&](auto at) { return noted.data.class_names[to_size(at - members.begin())]; };
  return fmt::format(
      "the {} part is unbalanced, {} images of '{}' and {} of '{}': read the balanced accuracy, "
      "the mean over classes, beside the accuracy",
      noted.options.part, few->size(), name(few), many->size(), name(many));
}

std::string draw_note(const Noted& noted) {
  if (noted.redrawn)
    return noted.options.students == 1 ? std::string()
                                       : fmt::format(
                                             "images chosen by '{}' anew for every student: the "
                                             "deviation includes the choice",
                                             noted.bundle.method);
  if (!noted.bundle.chosen) return {};
  return fmt::format(
      "one choice of images by '{}' for all students: the deviation does not include the choice, "
      "and another one gives another accuracy",
      noted.bundle.method);
}

bool sum_to_one(const at::Tensor& labels) {
  return at::allclose(labels.to(at::kDouble).sum(1), at::ones({labels.size(0)}, at::kDouble), 0,
                      0.01);
}

bool has_batchnorm(const std::string& network) {
  return (network + "-").find("-bn-") != std::string::npos;
}

std::string norm_note(const Noted& noted) {
  const bool changed =
      noted.protocol.without_batchnorm || evaluated_without_batchnorm(noted.bundle);
  const bool own = noted.options.networks.empty() && noted.options.learners.empty();
  if (!changed || !own || !has_batchnorm(noted.bundle.network)) return {};
  return fmt::format(
      "made with {}, evaluated without its BatchNorm, as published: so small a set does not "
      "measure its statistics. --networks {} evaluates with it",
      noted.bundle.network, noted.bundle.network);
}

}  // namespace

bool evaluated_without_batchnorm(const synthetic::Bundle& bundle) {
  constexpr std::array<std::string_view, 6> kWithout{"dc", "dsa", "mtt", "ftd", "tesla", "datm"};
  return std::count(kWithout.begin(), kWithout.end(), bundle.method) > 0;
}

std::vector<std::string> evaluation_notes(const Noted& noted) {
  std::vector<std::string> notes;
  for (std::string& note :
       std::array{synthetic::flatness_note(noted.bundle, noted.part.images), label_note(noted),
                  balance_note(noted), draw_note(noted), norm_note(noted)})
    if (!note.empty()) notes.push_back(std::move(note));
  return notes;
}

std::string divergence_advice(const synthetic::Bundle& bundle, const std::string& subject,
                              const std::string& network) {
  const double largest = bundle.images.abs().max().item<double>();
  if (subject != "distilled")
    return "these are real images under the protocol's rate: look at the normalisation of the set, "
           "and at --networks";
  if (bundle.soft_labels.defined() && !sum_to_one(bundle.soft_labels))
    return "the soft labels of the set are not distributions (rows do not sum to 1): import it "
           "anew from its source, or make it again";
  constexpr double kFar = 30;  // deviations: whitened and standardised pixels stay below
  if (largest > kFar)
    return fmt::format(
        "values of the set's images reach {:.3g}, where those of real images stay within a few "
        "units: its distillation ran away, or it was imported with another normalisation",
        largest);
  if (bundle.student_learning_rate) {
    const bool own = bundle.network.empty() || bundle.network == network;
    return fmt::format(
        "the set's own learned rate, {:.3g}, is too large for {}: {}distil it again with a smaller "
        "--student-learning-rate",
        *bundle.student_learning_rate, network,
        own ? "" : "evaluate it with the network it was made with (" + bundle.network + "), or ");
  }
  return "the protocol's rate does not suit this network on this set: choose another of --networks "
         "or another --protocol";
}

}  // namespace retort::eval
