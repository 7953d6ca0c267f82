"""Answers that a restart of Open WebUI cut off: without a word they would look as if they were still being written."""

from plugin.function.offering import own_models
from plugin.function.openwebui import Inside
from plugin.function.wording import language_of, say

# A model cannot have been asked more at once; answers that were cut off before have been told so.
LATEST = 200


async def tell_interrupted() -> None:
    """Say below each unfinished answer of our models that it will not go on. Only for the start of Open WebUI."""
    from open_webui.models.chat_messages import ChatMessages  # type: ignore[import-not-found]
    from open_webui.models.chats import Chats  # type: ignore[import-not-found]

    for model in await own_models(Inside()):
        for message in await ChatMessages.get_messages_by_model_id(model["id"], limit=LATEST):
            if message.role != "assistant" or message.done:
                continue
            sentence = say(language_of(str(message.content or message.output or "")), "restarted")
            identifier = message.id.removeprefix(f"{message.chat_id}-")
            told = {"error": {"content": sentence}, "done": True}
            await Chats.upsert_message_to_chat_by_id_and_message_id(message.chat_id, identifier, told)
