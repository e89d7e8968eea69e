package render

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
)

// Leak is a place where a response says which model it is, or who made it.
type Leak struct {
	Words    string
	From, To int // where the words stand in the text, in UTF-16 units, as JavaScript counts
}

// Names of models and of who makes them. They count only where a response speaks of itself.
const (
	models = `(?:Instruct|Chat)?GPT(?:-?[0-9][0-9a-z.]*)?|ChatGPT|Claude|Gemini|Bard|PaLM|LaMDA|Llama|Code ?Llama|Vicuna|Alpaca|Koala|Dolly|Mistral|Mixtral|Qwen|Tongyi ?Qianwen|ERNIE(?: Bot)?|` +
		`DeepSeek|Kimi|Grok|Copilot|Bing(?: Chat)?|Falcon|Gemma|OpenAssistant|Open Assistant|ChatGLM|GLM-?[0-9]*|Baichuan|InternLM|MiniMax|Doubao|Command R\+?|Tülu|Tulu|OLMo|StableLM|Zephyr|WizardLM|BLOOM|` +
		`通义千问|千问|文心一言|讯飞星火|星火大模型|星火认知大模型|豆包|智谱清言|混元|盘古|百川|书生|天工|商量`
	makers = `OpenAI|Anthropic|Google(?: DeepMind| AI)?|DeepMind|Meta(?: AI)?|Facebook|Microsoft|Mistral(?: AI)?|Alibaba(?: Cloud| Group)?|Baidu|Tencent|ByteDance|DeepSeek|xAI|Cohere|LMSYS|Zhipu(?: AI)?|` +
		`Moonshot(?: AI)?|Databricks|Stability AI|EleutherAI|Hugging ?Face|Inflection(?: AI)?|LAION|AI2|the Allen Institute for AI|` +
		`阿里巴巴(?:集团)?|阿里云|百度|腾讯|字节跳动|华为|科大讯飞|讯飞|智谱(?:AI)?|月之暗面|深度求索|谷歌|微软|上海人工智能实验室|商汤|昆仑万维`
)

var leaks = compile(
	// I'm Claude. My name is ChatGPT. You are talking to Bard.
	`\b(?:I['’]?m|I am|my name is|my name['’]s|call me|this is|you(?:['’]re| are) (?:talking|chatting|speaking) (?:to|with)|(?:built|based|running) (?:up)?on)(?: called| named)?(?: an?| the)?(?: AI| language| large| assistant| model| chatbot){0,4},? (?:called |named )?(?:`+models+`)\b`,
	// As ChatGPT, I cannot.
	`\bas (?:`+models+`), (?:I|an?|my)\b`,
	// As an AI model developed by OpenAI. I was trained by Anthropic.
	`\b(?:I(?:['’]m| am| was|['’]ve been| have been)|as an?|my model|my training)\b[^.!?\n。！？]{0,80}?\b(?:developed|created|trained|made|built|designed|provided|powered|owned|released) by (?:the )?(?:team |people |researchers |engineers )?(?:at |from )?(?:`+makers+`)\b`,
	// my creators at OpenAI
	`\bmy (?:creators?|developers?|makers?|parent company)(?: at| from| is| are|,)? (?:`+makers+`)\b`,
	// an Anthropic model, OpenAI's language model, spoken of oneself
	`\b(?:I(?:['’]m| am)|as) (?:an? |one of )?(?:`+makers+`)(?:['’]s?)? (?:AI |large |language |chat )*(?:model|assistant|chatbot|AI)s?\b`,
	// 我是ChatGPT 我叫通义千问
	`(?:我(?:就)?是|我叫(?:做)?|我的名字(?:是|叫)|叫我|作为)(?:一个|一款|一名)?(?:名为|叫做|叫)?\s*(?:`+models+`)`,
	// 我是由OpenAI开发的 作为百度研发的
	`(?:我(?:就)?是|作为|我)[^.!?\n。！？]{0,20}?由?\s*(?:`+makers+`)(?:公司|团队|集团)?\s*(?:自主|独立)?(?:开发|训练|创建|创造|研发|推出|打造|设计|制作|提供)`,
)

func compile(patterns ...string) (out []*regexp.Regexp) {
	for _, p := range patterns {
		out = append(out, regexp.MustCompile(`(?i)`+p))
	}
	return out
}

// Leaks returns where a text names the model that wrote it, or its maker, in English or Chinese, first things first. It
// finds phrases people know, not every way to say it.
func Leaks(text string) (out []Leak) {
	if text == "" {
		return nil
	}
	var found [][]int
	for _, r := range leaks {
		found = append(found, r.FindAllStringIndex(text, -1)...)
	}
	slices.SortFunc(found, func(a, b []int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(b[1], a[1])) })
	end := 0
	units, counted := 0, 0
	at := func(offset int) int {
		for _, r := range text[counted:offset] {
			units += utf16.RuneLen(r)
		}
		counted = offset
		return units
	}
	for _, f := range found {
		if f[0] < end {
			continue // within the one before
		}
		end = f[1]
		words := strings.ToValidUTF8(text[f[0]:f[1]], "\ufffd")
		out = append(out, Leak{words, at(f[0]), at(f[1])})
	}
	return out
}
