// OpenAI's embeddings route, for the paths that it shares with another dialect.
#ifndef TRUEVEC_SERVER_OPENAI_H_
#define TRUEVEC_SERVER_OPENAI_H_

#include "server/app.h"

namespace truevec {

const Schema& OpenAiEmbeddingsSchema();
void OpenAiEmbeddings(const CallPtr& call, const Body& body);

}  // namespace truevec

#endif  // TRUEVEC_SERVER_OPENAI_H_
