"""The agents' door: MCP tools over the knowledge base, on stdio and streamable HTTP."""
