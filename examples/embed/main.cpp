// A program that embeds retort: distils a data set to two images of each class, judges them by
// fresh students beside as many real images, and saves them. FOLDER keeps the run with the set
// itself, distilled.safetensors; DATA is a folder such as CIFAR-10's, else a part of the built-in
// set.
//     embed [FOLDER [DATA]]
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>

#include "retort/retort.h"

namespace {

void run(const std::filesystem::path& folder, const std::string& path) {
  retort::use_threads(0);  // all there are
  const auto data = path.empty() ? retort::data::prepare_dataset(retort::data::make_shapes(0.1), {})
                                 : retort::data::open_dataset({.data = path});
  retort::methods::Experiment experiment("dm");
  experiment.set({{"network", "convnet-w16"},
                  {"images_per_class", "2"},
                  {"iterations", "40"},
                  {"real_batch", "32"}});
  const auto outcome = experiment.run(data, folder);  // goes on where an earlier start came to
  retort::eval::EvalOptions options;
  options.evaluation_epochs = 40;
  for (const auto& result : retort::eval::evaluate(outcome.bundle, data, options).results)
    std::cout << result.subject << ", " << result.images << " images: accuracy "
              << 100 * result.mean() << " +- " << 100 * result.deviation() << " %\n";
  retort::synthetic::export_bundle(outcome.bundle, "npz", folder / "distilled.npz");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "embed-run", argc > 2 ? argv[2] : "");
  } catch (const std::exception& error) {  // retort::Error says what to do, in words
    std::cerr << error.what() << '\n';
    return 1;
  }
}
